{{/* Bytes of a quantity such as 4Gi, 512Mi, 1G or Java's 1g, as a whole number. Helm writes large numbers as 1.07e+09. */}}
{{- define "alluxio.bytes" -}}
{{- $text := toString . -}}
{{- $number := regexFind "^[0-9.]+([eE][+]?[0-9]+)?" $text | float64 -}}
{{- $suffix := regexReplaceAll "^[0-9.]+([eE][+]?[0-9]+)?" $text "" | lower -}}
{{- $factors := dict "" 1 "k" 1e3 "m" 1e6 "g" 1e9 "t" 1e12 "p" 1e15 "ki" 1024 "mi" 1048576 "gi" 1073741824 "ti" 1099511627776 "pi" 1125899906842624 -}}
{{- printf "%.0f" (mulf $number (get $factors $suffix | default 1)) -}}
{{- end -}}

{{/* The words of a part's Java options as the ConfigMap has them: an item of a list may hold several. Argument: [root, part, ...]. */}}
{{- define "alluxio.optionWords" -}}
{{- $root := index . 0 -}}
{{- $words := list -}}
{{- range rest . -}}{{- $words = concat $words (regexSplit "\\s+" (include (printf "alluxio.options.%s" .) $root | trim) -1) -}}{{- end -}}
{{- $words | toJson -}}
{{- end -}}

{{/* Bytes that Java options give to a kind of memory, 0 where they do not say. Java's m is 2^20, of several the last one holds. Argument: [words, how they begin...]. */}}
{{- define "alluxio.javaBytes" -}}
{{- $found := "0" -}}
{{- $starts := rest . -}}
{{- range $word := index . 0 -}}
{{- range $starts -}}
{{- if hasPrefix . $word -}}{{- $found = include "alluxio.bytes" (printf "%si" (trimPrefix . $word)) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- $found -}}
{{- end -}}

{{/* Fails where a container's limit does not hold what its process may take. Argument: [root, part, bytes of its volumes in memory]. */}}
{{- define "alluxio.validateMemory" -}}
{{- $part := get (index . 0).Values (index . 1) -}}
{{- $limit := ((($part.resources).limits).memory) -}}
{{- if $limit -}}
{{- $options := include "alluxio.optionWords" (list (index . 0) "common" (index . 1)) | fromJsonArray -}}
{{- $heap := include "alluxio.javaBytes" (list $options "-Xmx" "-XX:MaxHeapSize=") | float64 -}}
{{- $direct := include "alluxio.javaBytes" (list $options "-XX:MaxDirectMemorySize=") | float64 -}}
{{- $need := addf $heap $direct (index . 2) -}}
{{- if ge $need (include "alluxio.bytes" $limit | float64) -}}
{{- fail (printf "%s.resources.limits.memory is %v, but heap, direct memory and volumes in memory may take %.0f MiB and the process some more: the container would be killed. Raise the limit, or lower -Xmx, -XX:MaxDirectMemorySize or the volume (tieredstore.levels, journal.size, metastore.size)." (index . 1) $limit (divf $need 1048576)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "alluxio.validate" -}}
{{- $v := .Values -}}
{{- $count := int $v.master.count -}}
{{- if eq (mod $count 2) 0 -}}
{{- fail (printf "master.count is %d, which is no better than %d: a quorum needs a majority, so it is lost with one master less. Use 1, 3 or 5." $count (sub $count 1)) -}}
{{- end -}}
{{- $folder := $v.journal.folder | default "" | toString -}}
{{- if and (eq $v.journal.type "EMBEDDED") (not (hasPrefix "/" $folder)) -}}
{{- fail (printf "journal.folder is %s: a quorum of masters keeps its journal in volumes. Set it to a path such as /journal." ($folder | default "empty")) -}}
{{- end -}}
{{- if or (and (eq $v.journal.type "UFS") (eq $v.journal.ufsType "HDFS")) (not (hasPrefix "/" $folder)) -}}
{{- fail (printf "journal.folder is %s, of journal.ufsType %s: only in a volume can this chart see whether a journal is new, and it formats no other. Set ufsType to local and folder to a path such as /journal, or journal.type to EMBEDDED for three masters." $folder $v.journal.ufsType) -}}
{{- end -}}
{{- if and (gt $count 1) (eq $v.journal.type "UFS") -}}
{{- fail (printf "master.count is %d with journal.type UFS: several masters share a journal only as a quorum. Set journal.type to EMBEDDED." $count) -}}
{{- end -}}
{{- $inMemory := 0.0 -}}
{{- range $v.tieredstore.levels -}}
{{- $media := splitList "," .mediumtype -}}
{{- range $i, $quota := splitList "," (toString .quota) -}}
{{- if eq (trim (index $media (min $i (sub (len $media) 1) | int))) "MEM" -}}{{- $inMemory = addf $inMemory (include "alluxio.bytes" (trim $quota) | float64) -}}{{- end -}}
{{- end -}}
{{- if and (contains "persistentVolumeClaim" .type) (not .name) -}}
{{- fail (printf "tieredstore.levels: level %v is of type persistentVolumeClaim but has no name. Name the claim that it lies on." .level) -}}
{{- end -}}
{{- end -}}
{{- include "alluxio.validateOpenTiers" . -}}
{{- $state := 0.0 -}}
{{- range list $v.journal (ternary $v.metastore dict (not (empty ($v.metastore).mountPath))) -}}
{{- if and (eq (toString .volumeType) "emptyDir") (eq (toString .medium) "Memory") .size -}}{{- $state = addf $state (include "alluxio.bytes" .size | float64) -}}{{- end -}}
{{- end -}}
{{- include "alluxio.validateMemory" (list . "master" $state) -}}
{{- include "alluxio.validateMemory" (list . "jobMaster" 0.0) -}}
{{- include "alluxio.validateMemory" (list . "worker" $inMemory) -}}
{{- include "alluxio.validateMemory" (list . "jobWorker" 0.0) -}}
{{- if $v.fuse.enabled -}}{{- include "alluxio.validateMemory" (list . "fuse" 0.0) -}}{{- end -}}
{{- if $v.proxy.enabled -}}{{- include "alluxio.validateMemory" (list . "proxy" 0.0) -}}{{- end -}}
{{- include "alluxio.validateParts" . -}}
{{- range $what, $instead := dict "csi" "pods use the FUSE mount by hostPath (fuse.enabled)" "logserver" "kubectl logs reads what the pods write" -}}
{{- if ((get $v $what | default dict).enabled) -}}
{{- fail (printf "%s.enabled is true, but this chart has none: set it to false; %s." $what $instead) -}}
{{- end -}}
{{- end -}}
{{- range $what := tuple "serviceMonitor" "prometheusRule" "dashboard" -}}
{{- if and (get $v.metrics $what).enabled (not (and $v.metrics.enabled ($v.metrics.PrometheusMetricsServlet).enabled)) -}}
{{- fail (printf "metrics.%s.enabled is true, but there is nothing to scrape: set metrics.enabled and metrics.PrometheusMetricsServlet.enabled to true too." $what) -}}
{{- end -}}
{{- end -}}
{{- range $part := tuple "common" "master" "jobMaster" "fuse" "worker" "jobWorker" "proxy" -}}
{{- /* As the ConfigMap has them, whether they come from properties or from jvmOptions. */ -}}
{{- range $option := include "alluxio.optionWords" (list $ $part) | fromJsonArray -}}
{{- $key := regexFind "^-D[^=]+" $option | trimPrefix "-D" -}}
{{- if regexMatch "(?i)((access|secret)[._]?key(id|secret)?|secret\\.id|client\\.secret(\\..*)?|secretaccesskey|password|auth\\.key|oauth2\\.credential|account\\.key\\..*)$" $key -}}
{{- $where := ternary "properties or jvmOptions" (printf "%s.properties or %s.jvmOptions" $part $part) (eq $part "common") -}}
{{- fail (printf "%s in %s would stand in a ConfigMap, where everybody who may read those reads it. Put it into a Secret under the key alluxio-site.properties and name that in sitePropertiesSecret." $key $where) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and $v.fuse.enabled $v.worker.fuseEnabled -}}
{{- fail "fuse.enabled and worker.fuseEnabled are both true: two processes would mount the same path. Set one of them to false." -}}
{{- end -}}
{{- $place := $v.fuse.mountPoint -}}
{{- if or (ne $place (clean $place)) (regexMatch "\\s" $place) -}}
{{- fail (printf "fuse.mountPoint is %q: write it in its shortest form, without spaces. Use a path like /mnt/alluxio-fuse." $place) -}}
{{- end -}}
{{- if has (dir $place) (list "/" "/run" "/var/run" "/tmp" (include "alluxio.ownMount" .)) -}}
{{- fail (printf "fuse.mountPoint is %s: the folder above it is shared with the node's pods, which %s cannot be. Use a path like /mnt/alluxio-fuse." $place (dir $place)) -}}
{{- end -}}
{{- end -}}
