{{/* Java options of one part as one line. Argument: [the user's properties, the chart's properties, jvmOptions]. */}}
{{- define "alluxio.options" -}}
{{- $words := list -}}
{{- $all := deepCopy (index . 1) -}}
{{- /* Not by merge, which takes a user's false or 0 for nothing. */ -}}
{{- range $key, $value := index . 0 -}}{{- if not (kindIs "invalid" $value) -}}{{- $_ := set $all $key $value -}}{{- end -}}{{- end -}}
{{- range $key, $value := $all -}}
{{- /* Numbers of a values file are floats, and a million would be 1e+06, which Alluxio takes for no number. */ -}}
{{- if kindIs "float64" $value -}}{{- $value = ternary (printf "%.0f" $value) (toString $value) (eq $value (floor $value)) -}}{{- end -}}
{{- if not (kindIs "invalid" $value) -}}{{- $words = append $words (printf "-D%s=%v" $key $value) -}}{{- end -}}
{{- end -}}
{{- join " " (concat $words (index . 2 | default list)) -}}
{{- end -}}

{{- define "alluxio.masterAddresses" -}}
{{- $addresses := list -}}
{{- range $i := until (int .Values.master.count) -}}
{{- $addresses = append $addresses (printf "%s-master-%d:%d" (include "alluxio.name" $) $i (int $.Values.master.ports.embedded)) -}}
{{- end -}}
{{- join "," $addresses -}}
{{- end -}}

{{- define "alluxio.options.common" -}}
{{- $v := .Values -}}
{{- /* A worker that comes back has another address: until the masters forget the old one, clients wait for it in vain. */ -}}
{{- $p := dict "alluxio.security.stale.channel.purge.interval" "365d" "alluxio.master.worker.timeout" "30s" -}}
{{- /* One link that leads nowhere would make its whole folder look empty. All servers must say the same of it. */ -}}
{{- $_ := set $p "alluxio.underfs.local.skip.broken.symlinks" true -}}
{{- /* Who asks more often whether the other side of a connection is there loses it, and FUSE asks each ten seconds. */ -}}
{{- range list "master" "worker" -}}{{- $_ := set $p (printf "alluxio.%s.network.permit.keepalive.time" .) "5sec" -}}{{- end -}}
{{- if eq (int $v.master.count) 1 -}}
{{- $_ := set $p "alluxio.master.hostname" (printf "%s-master-0" (include "alluxio.name" .)) -}}
{{- else -}}
{{- $_ := set $p "alluxio.master.embedded.journal.addresses" (include "alluxio.masterAddresses" .) -}}
{{- end -}}
{{- $_ := set $p "alluxio.master.rpc.port" $v.master.ports.rpc -}}
{{- $_ := set $p "alluxio.master.web.port" $v.master.ports.web -}}
{{- $_ := set $p "alluxio.master.embedded.journal.port" $v.master.ports.embedded -}}
{{- $_ := set $p "alluxio.job.master.rpc.port" $v.jobMaster.ports.rpc -}}
{{- $_ := set $p "alluxio.job.master.web.port" $v.jobMaster.ports.web -}}
{{- $_ := set $p "alluxio.job.master.embedded.journal.port" $v.jobMaster.ports.embedded -}}
{{- if not $v.shortCircuit.enabled -}}{{- $_ := set $p "alluxio.user.short.circuit.enabled" false -}}{{- end -}}
{{- if $v.metrics.enabled -}}{{- $_ := set $p "alluxio.metrics.conf.file" "/config/metrics/metrics.properties" -}}{{- end -}}
{{- include "alluxio.options" (list $v.properties $p $v.jvmOptions) -}}
{{- end -}}

{{/* What masters and job masters are told, and nobody else restarts for. */}}
{{- define "alluxio.masterProperties" -}}
alluxio.master.journal.type: {{ .Values.journal.type }}
alluxio.master.journal.folder: {{ .Values.journal.folder }}
{{- if gt (int .Values.master.count) 1 }}
alluxio.master.hostname: ${ALLUXIO_MASTER_HOSTNAME}
{{- end }}
{{- end -}}

{{- define "alluxio.options.master" -}}
{{- $v := .Values -}}
{{- $p := include "alluxio.masterProperties" . | fromYaml -}}
{{- if ($v.metastore).mountPath -}}
{{- $_ := set $p "alluxio.master.metastore" "ROCKS" -}}
{{- $_ := set $p "alluxio.master.metastore.dir" ($v.metastore).mountPath -}}
{{- end -}}
{{- if $v.metrics.enabled -}}{{- $_ := set $p "alluxio.standby.master.web.enabled" true -}}{{- end -}}
{{- /* Where the root is a folder, Alluxio takes the path as the container's own. */ -}}
{{- $root := get (merge (dict) ($v.master.properties | default dict) ($v.properties | default dict)) "alluxio.master.mount.table.root.ufs" | toString | trimSuffix "/" -}}
{{- $inRoot := or (not (hasPrefix "/" $root)) (hasPrefix (printf "%s/" $root) $v.backup.directory) -}}
{{- $_ := set $p "alluxio.master.backup.directory" (ternary $v.backup.directory (printf "%s%s" $root $v.backup.directory) $inRoot) -}}
{{- if $v.backup.daily.enabled -}}
{{- $_ := set $p "alluxio.master.daily.backup.enabled" true -}}
{{- $_ := set $p "alluxio.master.daily.backup.time" $v.backup.daily.time -}}
{{- $_ := set $p "alluxio.master.daily.backup.files.retained" (int $v.backup.daily.keep) -}}
{{- end -}}
{{- include "alluxio.options" (list $v.master.properties $p $v.master.jvmOptions) -}}
{{- end -}}

{{- define "alluxio.options.jobMaster" -}}
{{- $p := include "alluxio.masterProperties" . | fromYaml -}}
{{- include "alluxio.options" (list .Values.jobMaster.properties $p .Values.jobMaster.jvmOptions) -}}
{{- end -}}

{{- define "alluxio.options.proxy" -}}
{{- $p := dict "alluxio.proxy.web.port" .Values.proxy.ports.web -}}
{{- /* It has none of the tiers' volumes, and in the host's network it would take the node's worker for one whose files it can open. */ -}}
{{- if include "alluxio.openTiers" . -}}{{- $_ := set $p "alluxio.user.short.circuit.enabled" false -}}{{- end -}}
{{- include "alluxio.options" (list .Values.proxy.properties $p .Values.proxy.jvmOptions) -}}
{{- end -}}

{{/* Changes with the options of just the parts that a pod runs, so that only their pods restart. Argument: [root, part...]. */}}
{{- define "alluxio.checksum" -}}
{{- $root := first . -}}
{{- $texts := list (include "alluxio.options.common" $root) (include "alluxio.metrics" $root) -}}
{{- range rest . -}}{{- $texts = append $texts (include (printf "alluxio.options.%s" .) $root) -}}{{- end -}}
checksum/config: {{ join "\n" $texts | sha256sum }}
{{- end -}}
