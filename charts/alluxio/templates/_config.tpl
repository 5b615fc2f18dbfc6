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

{{/* A quota in Alluxio's words: its G is 2^30, Kubernetes' G 10^9. What is no whole number of Ki, Mi, Gi or Ti is given in bytes and fits the volume. */}}
{{- define "alluxio.quota" -}}
{{- $quota := toString . -}}
{{- if regexMatch "^[0-9]+[KMGT]i$" $quota -}}{{- $quota | replace "i" "B" -}}{{- else -}}{{- include "alluxio.bytes" $quota -}}{{- end -}}
{{- end -}}

{{- define "alluxio.options.common" -}}
{{- $v := .Values -}}
{{- /* A worker that comes back has another address: until the masters forget the old one, clients wait for it in vain. */ -}}
{{- $p := dict "alluxio.security.stale.channel.purge.interval" "365d" "alluxio.master.worker.timeout" "30s" -}}
{{- /* One link that leads nowhere would make its whole folder look empty. All servers must say the same of it. */ -}}
{{- $_ := set $p "alluxio.underfs.local.skip.broken.symlinks" true -}}
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

{{- define "alluxio.options.worker" -}}
{{- $v := .Values -}}
{{- $p := dict "alluxio.worker.hostname" "${ALLUXIO_WORKER_HOSTNAME}" "alluxio.worker.rpc.port" $v.worker.ports.rpc "alluxio.worker.web.port" $v.worker.ports.web -}}
{{- if not $v.worker.hostNetwork -}}{{- $_ := set $p "alluxio.worker.container.hostname" "${ALLUXIO_WORKER_CONTAINER_HOSTNAME}" -}}{{- end -}}
{{- if include "alluxio.domainSocket" . -}}
{{- $_ := set $p "alluxio.worker.data.server.domain.socket.address" "/opt/domain" -}}
{{- $_ := set $p "alluxio.worker.data.server.domain.socket.as.uuid" true -}}
{{- end -}}
{{- $_ := set $p "alluxio.worker.tieredstore.levels" (len $v.tieredstore.levels) -}}
{{- range $v.tieredstore.levels -}}
{{- $prefix := printf "alluxio.worker.tieredstore.level%d" (int .level) -}}
{{- $quotas := list -}}
{{- range splitList "," (toString .quota) -}}{{- $quotas = append $quotas (include "alluxio.quota" (trim .)) -}}{{- end -}}
{{- /* Masters order levels by their aliases and know MEM, SSD and HDD only: of SSD,HDD the first names the level. */ -}}
{{- $_ := set $p (printf "%s.alias" $prefix) (splitList "," .alias | first | trim) -}}
{{- $_ := set $p (printf "%s.dirs.mediumtype" $prefix) (nospace .mediumtype) -}}
{{- $_ := set $p (printf "%s.dirs.path" $prefix) (nospace .path) -}}
{{- $_ := set $p (printf "%s.dirs.quota" $prefix) (join "," $quotas) -}}
{{- /* Alluxio has marks of its own for a level that names none. */ -}}
{{- range $mark, $ratio := pick . "high" "low" -}}{{- $_ := set $p (printf "%s.watermark.%s.ratio" $prefix $mark) $ratio -}}{{- end -}}
{{- /* The quota of the part that is in memory; where a list is too short its last word stands for the rest. */ -}}
{{- range $i, $medium := splitList "," (nospace .mediumtype) -}}
{{- if and (eq $medium "MEM") (not (hasKey $p "alluxio.worker.ramdisk.size")) -}}
{{- $_ := set $p "alluxio.worker.ramdisk.size" (index $quotas (min $i (sub (len $quotas) 1) | int)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- /* What the container's own script counts on. */ -}}
{{- $own := dict -}}
{{- if $v.worker.fuseEnabled -}}
{{- $own = dict "alluxio.fuse.mount.point" (include "alluxio.ownMount" .) "alluxio.fuse.mount.options" (include "alluxio.mountOptions" .) -}}
{{- $_ := set $p "alluxio.worker.fuse.enabled" true -}}
{{- $_ := set $p "alluxio.fuse.mount.alluxio.path" $v.fuse.alluxioPath -}}
{{- $_ := set $p "alluxio.fuse.jnifuse.libfuse.version" 3 -}}
{{- end -}}
{{- include "alluxio.options" (list (merge $own ($v.worker.properties | default dict)) $p $v.worker.jvmOptions) -}}
{{- end -}}

{{- define "alluxio.options.jobWorker" -}}
{{- $ports := .Values.jobWorker.ports -}}
{{- $p := dict "alluxio.worker.hostname" "${ALLUXIO_WORKER_HOSTNAME}" "alluxio.job.worker.rpc.port" $ports.rpc "alluxio.job.worker.data.port" $ports.data "alluxio.job.worker.web.port" $ports.web -}}
{{- include "alluxio.options" (list .Values.jobWorker.properties $p .Values.jobWorker.jvmOptions) -}}
{{- end -}}

{{- define "alluxio.options.fuse" -}}
{{- $p := dict "alluxio.user.hostname" "${ALLUXIO_CLIENT_HOSTNAME}" "alluxio.user.metadata.cache.enabled" true "alluxio.user.metadata.cache.max.size" 200000 -}}
{{- /* As long as the kernel's own times in fuse.mountOptions: what it has forgotten shall not be answered from here. */ -}}
{{- $_ := set $p "alluxio.user.metadata.cache.expiration.time" "1min" -}}
{{- $_ := set $p "alluxio.user.update.file.accesstime.disabled" true -}}
{{- /* A copy of each block that another worker holds would cost the first epoch half its speed and evict what is loaded. */ -}}
{{- $_ := set $p "alluxio.user.file.passive.cache.enabled" false -}}
{{- if .Values.metrics.enabled -}}{{- $_ := set $p "alluxio.fuse.web.enabled" true -}}{{- end -}}
{{- include "alluxio.options" (list .Values.fuse.properties $p .Values.fuse.jvmOptions) -}}
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
