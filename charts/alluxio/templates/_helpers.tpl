{{- define "alluxio.name" -}}
{{ .Values.fullnameOverride | default .Release.Name }}
{{- end -}}

{{- define "alluxio.labels" -}}
app: alluxio
release: {{ .Release.Name }}
heritage: {{ .Release.Service }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Values.imageTag | quote }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{/* Selectors hold nothing that an upgrade changes. Argument: [root, role]. */}}
{{- define "alluxio.selector" -}}
app: alluxio
release: {{ (index . 0).Release.Name }}
role: alluxio-{{ index . 1 }}
{{- end -}}

{{/* Volumes that all Java parts have. Argument: [root, secrets and configmaps of: master or worker]. */}}
{{- define "alluxio.sharedVolumes" -}}
{{- $v := (index . 0).Values -}}{{- $kind := index . 1 -}}
{{- range $v.mounts }}
- name: {{ .name }}
  {{- if .hostPath }}
  hostPath: {path: {{ .hostPath }}, type: Directory}
  {{- else }}
  persistentVolumeClaim: {claimName: {{ .name }}}
  {{- end }}
{{- end }}
{{- with $v.sitePropertiesSecret }}
- {name: site-properties, secret: {secretName: {{ . }}, defaultMode: 0440}}
{{- end }}
{{- if $v.metrics.enabled }}
- {name: metrics, configMap: {name: {{ include "alluxio.name" (index . 0) }}-metrics}}
{{- end }}
{{- range $name, $folder := (get $v.secrets $kind | default dict) }}
- {name: secret-{{ $name }}, secret: {secretName: {{ $name }}, defaultMode: 0440}}
{{- end }}
{{- range $name, $folder := (get $v.configmaps $kind | default dict) }}
- {name: configmap-{{ $name }}, configMap: {name: {{ $name }}}}
{{- end }}
{{- end -}}

{{- define "alluxio.sharedMounts" -}}
{{- $v := (index . 0).Values -}}{{- $kind := index . 1 -}}
{{- range $v.mounts }}
- {name: {{ .name }}, mountPath: {{ .path }}}
{{- end }}
{{- /* One of the folders where Alluxio looks for its properties, the command line in the pod too. */ -}}
{{- if $v.sitePropertiesSecret }}
- {name: site-properties, mountPath: /etc/alluxio, readOnly: true}
{{- end }}
{{- if $v.metrics.enabled }}
- {name: metrics, mountPath: /config/metrics, readOnly: true}
{{- end }}
{{- range $name, $folder := (get $v.secrets $kind | default dict) }}
- {name: secret-{{ $name }}, mountPath: /secrets/{{ $folder }}, readOnly: true}
{{- end }}
{{- range $name, $folder := (get $v.configmaps $kind | default dict) }}
- {name: configmap-{{ $name }}, mountPath: /configmaps/{{ $folder }}, readOnly: true}
{{- end }}
{{- end -}}

{{/* Whether clients of a node read by a socket, or open the files of its worker's tiers. Empty for no. */}}
{{- define "alluxio.domainSocket" -}}{{- if and .Values.shortCircuit.enabled (eq .Values.shortCircuit.policy "uuid") -}}true{{- end -}}{{- end -}}
{{- define "alluxio.openTiers" -}}{{- if and .Values.shortCircuit.enabled (eq .Values.shortCircuit.policy "local") -}}true{{- end -}}{{- end -}}

{{- define "alluxio.domainClaim" -}}
{{ .Values.shortCircuit.pvcName | default (printf "%s-worker-domain-socket" (include "alluxio.name" .)) }}
{{- end -}}

{{- define "alluxio.domainVolume" -}}
- name: alluxio-domain
  {{- if eq .Values.shortCircuit.volumeType "hostPath" }}
  hostPath: {path: {{ .Values.shortCircuit.hostPath }}, type: Directory}
  {{- else }}
  persistentVolumeClaim: {claimName: {{ include "alluxio.domainClaim" . }}}
  {{- end }}
{{- end -}}
