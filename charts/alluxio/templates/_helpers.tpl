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

{{/*
A shell function: whether a master on a host leads and has a version that begins so. Standby masters answer only where metrics.enabled opens their web port.
An address whose pod is gone answers nothing at all, and a name may stand for one for some time: no try is longer than three seconds.
*/}}
{{- define "alluxio.leads" -}}
leads() {
  timeout 3 bash -c 'exec 3<>"/dev/tcp/$0/{{ int .Values.master.ports.web }}" && printf "GET /api/v1/master/info HTTP/1.0\r\n\r\n" >&3 && grep -qF "\"version\":\"$1" <&3' "$1" "$2" 2>/dev/null
}
{{- end -}}

{{- define "alluxio.masterHosts" -}}
{{- range $i := until (int .Values.master.count) }}{{ if $i }} {{ end }}{{ include "alluxio.name" $ }}-master-{{ $i }}{{ end }}
{{- end -}}

{{/*
Shell functions: whether a master leads, and to wait until one does, for a minute at most and eight seconds where the masters' names are gone, too.
*/}}
{{- define "alluxio.awaitLeader" -}}
{{ include "alluxio.leads" . }}
led() { for host in {{ include "alluxio.masterHosts" . }}; do leads "$host" && return; done; return 1; }
named() { for host in {{ include "alluxio.masterHosts" . }}; do timeout 3 getent hosts "$host" >/dev/null && return; done; return 1; }
export -f leads led named
await() { timeout 60 bash -c 'until led; do if named; then SECONDS=0; fi; [ "$SECONDS" -lt 8 ] || exit; sleep 1; done'; }
{{- end -}}

{{/*
Told to stop while no master leads, a worker hangs until it is killed, for all of its grace period; in an upgrade masters and workers are told at once. After
five seconds, in which masters have stopped to lead, it waits for one; if none comes, it is killed.
*/}}
{{- define "alluxio.workerEnds" -}}
{{ include "alluxio.awaitLeader" . }}
sleep 5
await || kill -KILL "$(cat /tmp/running)"
{{- end -}}

{{- define "alluxio.working" -}}
command: [tini, --, /bin/bash, -c, 'echo "$BASHPID" > /tmp/running && exec "$0" "$@"', /entrypoint.sh]
{{- end -}}

{{/*
Workers and FUSE end themselves when no master answers: waiting here costs no restart and no back-off. It waits for a master of their own version, so
that in an upgrade masters come first and workers do not register with an older one.
*/}}
{{- define "alluxio.waitForMaster" -}}
- name: wait-for-master
  {{- include "alluxio.image" . | nindent 2 }}
  command: [/bin/bash, -c]
  args:
    - |
      # The first process of a container dies of no signal that it does not take: without this a pod that waits would last its whole grace period.
      trap 'exit 143' TERM
      own=$(timeout 60 alluxio version 2>/dev/null | tail -n 1)
      {{- include "alluxio.leads" . | nindent 6 }}
      while :; do
        for host in {{ include "alluxio.masterHosts" . }}; do leads "$host" "$own${own:+\"}" && exit 0; done
        sleep 1
      done
  {{- include "alluxio.containerSecurity" . | nindent 2 }}
  resources:
    requests: {cpu: 10m, memory: 16Mi}
    # Alluxio tells its version by a JVM; with too little for one, the kernel would end the whole container.
    limits: {memory: 512Mi}
{{- end -}}

{{/*
How a container that mounts begins. What a killed process left is cleaned up here, for init containers do not run again when a container does: it
answers nothing but "not connected" and would hide the new mount. One that answers is another release's, or of a pod that is just ending, and stays.
The process answers stat -f; stat is answered by the kernel, out of its cache, when there is no process any more.
*/}}
{{- define "alluxio.mounting" -}}
command:
  - tini
  - --
  - /bin/bash
  - -c
  - |
    while grep -q " $0 fuse" /proc/mounts; do
      if timeout 5 stat -f "$0" >/dev/null 2>&1; then
        echo "$0 is mounted by a process that runs; waiting for its end. If it is another release's, give this one a fuse.mountPoint of its own." >&2
        sleep 1
      else
        umount -l "$0" || exit
      fi
    done
    mkdir -p "$0" && echo "$BASHPID" > /tmp/running && exec "$@"
  - {{ .Values.fuse.mountPoint | quote }}
  - /entrypoint.sh
{{- end -}}

{{/* Whether the mount answers: that the folder exists would prove nothing. */}}
{{- define "alluxio.mountAnswers" -}}
exec: {command: [/bin/bash, -c, 'grep -q " $0 fuse" /proc/mounts && timeout 20 stat "$0" >/dev/null', {{ .Values.fuse.mountPoint | quote }}]}
{{- end -}}
