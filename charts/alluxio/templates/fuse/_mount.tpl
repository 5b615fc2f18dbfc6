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
