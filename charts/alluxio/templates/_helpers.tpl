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

{{/* Java options of one part as one line. Argument: [properties, jvmOptions]. */}}
{{- define "alluxio.options" -}}
{{- $words := list -}}
{{- range $key, $value := index . 0 -}}{{- $words = append $words (printf "-D%s=%v" $key $value) -}}{{- end -}}
{{- join " " (concat $words (index . 1)) -}}
{{- end -}}

{{- define "alluxio.masterAddresses" -}}
{{- $addresses := list -}}
{{- range $i := until (int .Values.master.count) -}}
{{- $addresses = append $addresses (printf "%s-master-%d:%d" $.Values.fullnameOverride $i (int $.Values.master.ports.embedded)) -}}
{{- end -}}
{{- join "," $addresses -}}
{{- end -}}

{{/* What every pod has. Argument: [root, extra node selector]. */}}
{{- define "alluxio.podDefaults" -}}
{{- $root := index . 0 -}}
automountServiceAccountToken: false
{{- with $root.Values.serviceAccount }}
serviceAccountName: {{ . }}
{{- end }}
{{- with merge (dict) (index . 1) $root.Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.hostAliases }}
hostAliases: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "alluxio.image" -}}
image: {{ .Values.image }}:{{ .Values.imageTag }}
imagePullPolicy: {{ .Values.imagePullPolicy }}
{{- end -}}

{{/* The restricted profile's container settings. */}}
{{- define "alluxio.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  capabilities: {drop: [ALL]}
{{- end -}}

{{- define "alluxio.podSecurity" -}}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ int .Values.user }}
  runAsGroup: {{ int .Values.group }}
  {{- with .Values.fsGroup }}
  fsGroup: {{ int . }}
  fsGroupChangePolicy: OnRootMismatch
  {{- end }}
  seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "alluxio.mountVolumes" -}}
{{- range .Values.mounts }}
- name: {{ .name }}
  {{- if .hostPath }}
  hostPath: {path: {{ .hostPath }}, type: Directory}
  {{- else }}
  persistentVolumeClaim: {claimName: {{ .name }}}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "alluxio.mountMounts" -}}
{{- range .Values.mounts }}
- {name: {{ .name }}, mountPath: {{ .path }}}
{{- end }}
{{- end -}}

{{- define "alluxio.domainVolume" -}}
- name: alluxio-domain
  {{- if eq .Values.shortCircuit.volumeType "hostPath" }}
  hostPath: {path: {{ .Values.shortCircuit.hostPath }}, type: Directory}
  {{- else }}
  persistentVolumeClaim: {claimName: {{ .Values.shortCircuit.pvcName }}}
  {{- end }}
{{- end -}}

{{- define "alluxio.workerEnvironment" -}}
envFrom:
  - configMapRef: {name: {{ .Values.fullnameOverride }}-config}
env:
  - name: ALLUXIO_WORKER_HOSTNAME
    valueFrom: {fieldRef: {fieldPath: status.hostIP}}
  - name: ALLUXIO_WORKER_CONTAINER_HOSTNAME
    valueFrom: {fieldRef: {fieldPath: status.podIP}}
{{- end -}}

{{- define "alluxio.workerMounts" -}}
{{- if .Values.shortCircuit.enabled }}
- {name: alluxio-domain, mountPath: /opt/domain}
{{- end }}
{{- include "alluxio.mountMounts" . }}
{{- range .Values.tieredstore.levels }}
- {name: tier-{{ .level }}, mountPath: {{ .path }}}
{{- end }}
{{- end -}}

{{/* Workers and FUSE end themselves when no master answers: waiting here costs no restart and no back-off. */}}
{{- define "alluxio.waitForMaster" -}}
- name: wait-for-master
  {{- include "alluxio.image" . | nindent 2 }}
  command: [/bin/bash, -c]
  args:
    - 'until for host in {{ range $i := until (int .Values.master.count) }}{{ $.Values.fullnameOverride }}-master-{{ $i }} {{ end }}; do (exec 3<>"/dev/tcp/$host/{{ int .Values.master.ports.rpc }}") 2>/dev/null && exit 0; done; false; do sleep 1; done'
  {{- include "alluxio.containerSecurity" . | nindent 2 }}
  resources:
    requests: {cpu: 10m, memory: 16Mi}
    limits: {memory: 64Mi}
{{- end -}}
