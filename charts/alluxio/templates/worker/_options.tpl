{{/* A quota in Alluxio's words: its G is 2^30, Kubernetes' G 10^9. What is no whole number of Ki, Mi, Gi or Ti is given in bytes and fits the volume. */}}
{{- define "alluxio.quota" -}}
{{- $quota := toString . -}}
{{- if regexMatch "^[0-9]+[KMGT]i$" $quota -}}{{- $quota | replace "i" "B" -}}{{- else -}}{{- include "alluxio.bytes" $quota -}}{{- end -}}
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
{{- /* Its process is the mount's, too; memory and other options of Java are the worker's own. */ -}}
{{- range tuple (include "alluxio.fuseDefaults" . | fromYaml) ($v.fuse.properties | default dict) -}}
{{- range $key, $value := . -}}{{- if not (kindIs "invalid" $value) -}}{{- $_ := set $p $key $value -}}{{- end -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- include "alluxio.options" (list (merge $own ($v.worker.properties | default dict)) $p $v.worker.jvmOptions) -}}
{{- end -}}

{{- define "alluxio.options.jobWorker" -}}
{{- $ports := .Values.jobWorker.ports -}}
{{- $p := dict "alluxio.worker.hostname" "${ALLUXIO_WORKER_HOSTNAME}" "alluxio.job.worker.rpc.port" $ports.rpc "alluxio.job.worker.data.port" $ports.data "alluxio.job.worker.web.port" $ports.web -}}
{{- include "alluxio.options" (list .Values.jobWorker.properties $p .Values.jobWorker.jvmOptions) -}}
{{- end -}}
