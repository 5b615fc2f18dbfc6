{{/* What stands above a pod's spec. Argument: [root, role, values of the part, parts it runs...]. */}}
{{- define "alluxio.podMetadata" -}}
{{- $root := index . 0 -}}
labels: {{- include "alluxio.selector" (list $root (index . 1)) | nindent 2 }}
annotations:
  {{- include "alluxio.checksum" (concat (list $root) (slice . 3)) | nindent 2 }}
  {{- $servlet := $root.Values.metrics.PrometheusMetricsServlet }}
  {{- if and $root.Values.metrics.enabled ($servlet).enabled }}
  {{- with merge (dict) ($root.Values.metrics.podAnnotations | default dict) ($servlet.podAnnotations | default dict) }}{{ toYaml . | nindent 2 }}{{ end }}
  {{- end }}
  {{- with (index . 2).podAnnotations }}{{ toYaml . | nindent 2 }}{{ end }}
{{- end -}}

{{/* What every pod has. Argument: [root, values of the part, node selector]. */}}
{{- define "alluxio.podDefaults" -}}
{{- $root := index . 0 -}}{{- $part := index . 1 -}}
automountServiceAccountToken: false
serviceAccountName: {{ $part.serviceAccount | default $root.Values.serviceAccount | default (include "alluxio.name" $root) }}
{{- with $part.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- if $part.hostNetwork }}
hostNetwork: true
dnsPolicy: {{ $part.dnsPolicy | default "ClusterFirst" | replace "ClusterFirstWithHostNet" "ClusterFirst" | replace "ClusterFirst" "ClusterFirstWithHostNet" }}
{{- else }}
dnsPolicy: {{ $part.dnsPolicy | default "ClusterFirst" | replace "ClusterFirstWithHostNet" "ClusterFirst" }}
{{- end }}
{{- if $part.hostPID }}
hostPID: true
{{- end }}
{{- if $part.shareProcessNamespace }}
shareProcessNamespace: true
{{- end }}
{{- with merge (dict) (index . 2 | default dict) ($root.Values.nodeSelector | default dict) }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with concat ($root.Values.tolerations | default list) ($part.tolerations | default list) }}
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

{{/* The restricted profile's settings, unless the user asks for root: without its capabilities it could not write the image's configuration. */}}
{{- define "alluxio.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  {{- if int .Values.user }}
  capabilities: {drop: [ALL]}
  {{- end }}
{{- end -}}

{{/*
A Secret's files are root:root, 0440, where fsGroup is empty, and images write their configuration as their own user. The image's user, 1000, belongs to group
root by its /etc/group, which names no other: without a capability it is the least that lets another read them, and what an image leaves to the group.
*/}}
{{- define "alluxio.groupRoot" -}}
{{- if not (has (int .Values.user) (list 0 1000)) -}}
supplementalGroups: [0]
{{- end -}}
{{- end -}}

{{- define "alluxio.podSecurity" -}}
securityContext:
  {{- if int .Values.user }}
  runAsNonRoot: true
  {{- end }}
  runAsUser: {{ int .Values.user }}
  runAsGroup: {{ int .Values.group }}
  {{- with .Values.fsGroup }}
  fsGroup: {{ int . }}
  fsGroupChangePolicy: OnRootMismatch
  {{- end }}
  {{- with include "alluxio.groupRoot" . }}{{ . | nindent 2 }}{{ end }}
  seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{/*
Variables of a container. Argument: [root, map of names and field paths, env of the part].
Without a locale Java opens no file of the under storage whose name holds more than ASCII.
*/}}
{{- define "alluxio.environment" -}}
envFrom:
  - configMapRef: {name: {{ include "alluxio.name" (index . 0) }}-config}
env:
  {{- range $name, $path := index . 1 }}
  - name: {{ $name }}
    valueFrom: {fieldRef: {fieldPath: {{ $path }}}}
  {{- end }}
  {{- range $name, $value := merge (dict) (index . 2 | default dict) (dict "LC_ALL" "C.UTF-8") }}
  - {name: {{ $name }}, value: {{ $value | quote }}}
  {{- end }}
{{- end -}}

{{/* The three probes of a part. Argument: [values of the part, its port, line of bash that tells whether it is ready; empty for the port]. */}}
{{- define "alluxio.probes" -}}
{{- $part := index . 0 -}}{{- $port := index . 1 -}}{{- $ready := index . 2 -}}
{{- range $name := tuple "readinessProbe" "livenessProbe" "startupProbe" }}
{{- with get $part $name }}
{{ $name }}:
  {{- if and $ready (eq $name "readinessProbe") }}
  exec: {command: [/bin/bash, -c, {{ quote $ready }}]}
  {{- else }}
  tcpSocket: {port: {{ $port }}}
  {{- end }}
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}
