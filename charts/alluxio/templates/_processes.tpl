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
[ -e /tmp/running ] || exit 0
{{ include "alluxio.awaitLeader" .root }}
sleep 5
await || alone=1
{{- if .mounts }}
{{ include "alluxio.unmounting" .root }}
{{- end }}
[ -z "${alone-}" ] || kill -KILL "$(cat /tmp/running)"
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

{{/* Where FUSE mounts inside its container; the source of the mount names the release. */}}
{{- define "alluxio.ownMount" -}}/run/alluxio-fuse{{- end -}}

{{- define "alluxio.mountOptions" -}}
{{- with .Values.fuse.mountOptions }}{{ . }},{{ end }}fsname={{ .Release.Namespace }}/{{ include "alluxio.name" . }},subtype=alluxio-fuse
{{- end -}}

{{/* A shell function: the device, the type and the source of what is mounted last at a path. */}}
{{- define "alluxio.mountedAt" -}}
at() {
  local device path rest found=
  while read -r _ _ device _ path rest; do [ "$path" != "$1" ] || found="$device ${rest#* - }"; done < /proc/self/mountinfo
  echo "$found"
}
own={{ include "alluxio.ownMount" . }}
{{- end -}}

{{/*
How a container that mounts begins. Its process mounts in the container; when the mount answers, it takes the place at the path that other pods see: of an
older pod of the release, which serves until then, and of what a killed process left, which answers nothing but "not connected". Another release's stays.
Where the place is empty again, as when the next pod has gone before its time, it is taken once more.
The process answers stat -f; stat is answered by the kernel, out of its cache, when there is no process any more.
*/}}
{{- define "alluxio.mounting" -}}
command:
  - tini
  - --
  - /bin/bash
  - -c
  - |
    {{- include "alluxio.mountedAt" . | nindent 4 }}
    place() {
      local device source its placed=
      until timeout 20 stat "$own" >/dev/null 2>&1 && read -r device _ source _ <<< "$(at "$own")" && [ -n "$source" ]; do sleep 0.5; done
      while :; do
        its=$(at "$1")
        if [ "${its%% *}" = "$device" ]; then
          placed=1
        elif [ -z "$its" ] || { [ -z "$placed" ] && [[ $its != *" fuse"* ]]; }; then
          mkdir -p "$1" && mount --bind "$own" "$1"
        elif [ -z "$placed" ]; then
          if [[ $its == *" $source "* ]] || ! timeout 5 stat -f "$1" >/dev/null 2>&1; then
            umount -l "$1" && continue
          else
            echo "$1 is mounted by a process that is not of this release; waiting for its end. If it is another release's, give this one a fuse.mountPoint" \
              "of its own; if it is this one's by an older chart, upgrade with fuse.maxSurge 0 once." >&2
          fi
        fi
        sleep 1
      done
    }
    mkdir -p "$own"
    place "$0" &
    echo "$!" > /tmp/placing
    echo "$BASHPID" > /tmp/running && exec "$@"
  - {{ .Values.fuse.mountPoint | quote }}
  - /entrypoint.sh
{{- end -}}

{{/*
How it ends: readers see its mount no more. What they have open is read to its end for two seconds, or ten where another pod has taken its place.
*/}}
{{- define "alluxio.unmounting" -}}
kill "$(cat /tmp/placing)"
{{ include "alluxio.mountedAt" . }}
mine=$(at "$own") its=$(at "$0")
if [ -n "$mine" ] && [ "${its%% *}" = "${mine%% *}" ]; then umount -l "$0"; sleep 2; elif [ -n "$mine" ]; then sleep 10; fi
{{- end -}}

{{/*
Whether the container's own mount is in its place. Whether it answers is no matter here: it does not where no master has led for some time, and the
DaemonSet would then end all old pods at once, which still serve.
*/}}
{{- define "alluxio.mountPlaced" -}}
exec:
  command:
    - /bin/bash
    - -c
    - |
      {{- include "alluxio.mountedAt" . | nindent 6 }}
      mine=$(at "$own") its=$(at "$0")
      [ -n "$mine" ] && [ "${its%% *}" = "${mine%% *}" ]
    - {{ .Values.fuse.mountPoint | quote }}
{{- end -}}

{{/* Whether the mount answers, whosever it is: that the folder exists would prove nothing. */}}
{{- define "alluxio.mountAnswers" -}}
exec: {command: [/bin/bash, -c, 'grep -q " $0 fuse" /proc/mounts && timeout 20 stat "$0" >/dev/null', {{ .Values.fuse.mountPoint | quote }}]}
{{- end -}}
