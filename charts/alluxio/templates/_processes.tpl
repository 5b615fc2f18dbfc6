{{/*
Shell functions: whether a master on a host leads, by its own metrics, for a standby master whose web port metrics.enabled opens answers like the one that
leads; and whether it has a version that begins so, too. Masters of Alluxio 2.8 do not measure it: one that answers at all is taken for the one that leads.
An address whose pod is gone answers nothing at all, and a name may stand for one for some time: no try is longer than three seconds.
*/}}
{{- define "alluxio.leads" -}}
page() { timeout 3 bash -c 'exec 3<>"/dev/tcp/$0/{{ int .Values.master.ports.web }}" && printf "GET $1 HTTP/1.0\r\n\r\n" >&3 && cat <&3' "$@" 2>/dev/null; }
primary() {
  page "$1" /metrics/json/ | tr -d " \n" | grep -oE '"gauges"|"Master.Last(Gain|Lose)PrimacyTime":[{]"value":[0-9]+' | grep -oE '"gauges"|[0-9]+$' |
    { read -r answers; read -r gained; read -r lost; [ "0${gained:-${answers:+1}}" -gt "${lost:-0}" ]; }
}
leads() { primary "$1" && page "$1" /api/v1/master/info | grep -qF "\"version\":\"$2"; }
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
export -f page primary leads led named
await() { timeout 60 bash -c 'until led; do if named; then SECONDS=0; fi; [ "$SECONDS" -lt 8 ] || exit; sleep 1; done'; }
{{- end -}}

{{/*
Whether a master takes part in the quorum: the one that leads is connected to its journal's port, as it is itself for a moment, or it leads. One that was
started anew listens at once, but the one that leads looks for its new address half a minute later; if the next one went before, two of three would be away.
*/}}
{{- define "alluxio.inQuorum" -}}
{{- $port := printf "%04X" (int .Values.master.ports.embedded) -}}
grep -hsE '^ *[0-9]+: [0-9A-F]+:{{ $port }} [0-9A-F]+:[0-9A-F]+ 01 ' /proc/net/tcp /proc/net/tcp6 | grep -qvE ': ([0-9A-F]+):{{ $port }} \1:' && exit
{{ include "alluxio.leads" . }}
primary 127.0.0.1
{{- end -}}

{{/*
A master that leads hands over before it ends, for an election among those that are left takes 10 to 20 s. The first one takes over, which goes last in a rolling
change, and from that the last one, which came first. Alluxio looks each 20 s or so whether it shall hand over; there is nobody to wait for when all end,
and what is left in the background holds none of this one's output, for whose end Kubernetes would wait.
*/}}
{{- define "alluxio.masterEnds" -}}
{{- $embedded := int .Values.master.ports.embedded -}}{{- $hosts := splitList " " (include "alluxio.masterHosts" .) -}}
{{ include "alluxio.leads" . }}
primary 127.0.0.1 || exit 0
heir={{ first $hosts }}
[ "$ALLUXIO_MASTER_HOSTNAME" != "$heir" ] || heir={{ last $hosts }}
alluxio fsadmin journal quorum elect -address "$heir:{{ $embedded }}" >/dev/null 2>&1 &
for _ in $(seq 45); do
  kill -0 "$!" 2>/dev/null && timeout 3 bash -c 'exec 3<>"/dev/tcp/$0/{{ $embedded }}"' "$heir" 2>/dev/null || break
  sleep 1
done
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

{{/* A worker's process tells its number, for it is not the container's first one, which a kill from within does not reach. */}}
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
