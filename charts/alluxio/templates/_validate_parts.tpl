{{/* Cores of a quantity such as 500m or 2. */}}
{{- define "alluxio.cores" -}}
{{- $text := toString . -}}
{{- if hasSuffix "m" $text -}}{{- divf (trimSuffix "m" $text | float64) 1000 -}}{{- else -}}{{- float64 $text -}}{{- end -}}
{{- end -}}

{{/* Fails where a size is none to Kubernetes, or nothing. Argument: [where it stands, the size]. */}}
{{- define "alluxio.validateSize" -}}
{{- $text := toString (index . 1) -}}
{{- if regexMatch "(K|ki)$" $text -}}
{{- fail (printf "%s is %s, whose suffix Kubernetes does not know: write %sk for thousands or %sKi for units of 1024 bytes, or use Mi or Gi." (index . 0) $text (regexReplaceAll "[A-Za-z]+$" $text "") (regexReplaceAll "[A-Za-z]+$" $text "")) -}}
{{- end -}}
{{- if lt (include "alluxio.bytes" $text | float64) 1.0 -}}
{{- fail (printf "%s is %s, which holds nothing: write a size such as 512Mi or 1Gi." (index . 0) $text) -}}
{{- end -}}
{{- end -}}

{{/* Fails where a worker would not start for its levels: Alluxio counts them from 0 and frees a level from its high mark down to its low one. */}}
{{- define "alluxio.validateTiers" -}}
{{- $numbers := list -}}
{{- range .Values.tieredstore.levels -}}{{- $numbers = append $numbers (int .level | toString) -}}{{- end -}}
{{- range $i, $_ := $numbers -}}
{{- if not (has (toString $i) $numbers) -}}
{{- fail (printf "tieredstore.levels has the levels %s, but no level %d: Alluxio counts them from 0, each number once. Number the fastest 0, the next 1." (join ", " $numbers) $i) -}}
{{- end -}}
{{- end -}}
{{- range .Values.tieredstore.levels -}}
{{- /* Alluxio's own marks stand for those that are not there. */ -}}
{{- $high := ternary .high 0.95 (hasKey . "high") | float64 -}}
{{- $low := ternary .low 0.7 (hasKey . "low") | float64 -}}
{{- if le $high $low -}}
{{- fail (printf "tieredstore.levels: of level %v high is %v and low is %v, but a worker frees a level from high down to low. Make high larger than low, such as 0.95 and 0.7." .level $high $low) -}}
{{- end -}}
{{- $level := .level -}}
{{- range splitList "," (toString .quota) -}}{{- include "alluxio.validateSize" (list (printf "tieredstore.levels: quota of level %v" $level) (trim .)) -}}{{- end -}}
{{- end -}}
{{- end -}}

{{/* Fails where a part asks for more than its limit, which the API server would refuse when pods are already changed. Argument: [part, its values]. */}}
{{- define "alluxio.validateRequests" -}}
{{- $part := index . 0 -}}
{{- $resources := (index . 1).resources | default dict -}}
{{- range $what, $as := dict "cpu" "alluxio.cores" "memory" "alluxio.bytes" -}}
{{- $request := get ($resources.requests | default dict) $what -}}
{{- $limit := get ($resources.limits | default dict) $what -}}
{{- if and (not (empty $request)) (not (empty $limit)) -}}
{{- if gt (include $as $request | float64) (include $as $limit | float64) -}}
{{- fail (printf "%s.resources.requests.%s is %v, above %s.resources.limits.%s, which is %v: Kubernetes refuses such a pod. Lower the request or raise the limit." $part $what $request $part $what $limit) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Fails where two ports of a pod are one number. Argument: [root, parts of the pod...]. */}}
{{- define "alluxio.validatePorts" -}}
{{- $root := index . 0 -}}
{{- $taken := dict -}}
{{- range $part := rest . -}}
{{- range $name, $port := (get $root.Values $part).ports -}}
{{- $key := printf "%s.ports.%s" $part $name -}}
{{- $number := int $port | toString -}}
{{- if hasKey $taken $number -}}
{{- fail (printf "%s and %s are both %s, but are opened in one pod: give each a number of its own." (get $taken $number) $key $number) -}}
{{- end -}}
{{- $_ := set $taken $number $key -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Values that the API server or Alluxio would refuse after something has changed. */}}
{{- define "alluxio.validateParts" -}}
{{- $v := .Values -}}
{{- include "alluxio.validateTiers" . -}}
{{- if not (kindIs "map" $v.master.podDisruptionBudget) -}}
{{- fail "master.podDisruptionBudget is null, which says neither yes nor no: set master.podDisruptionBudget.enabled to true or false, or leave it out." -}}
{{- end -}}
{{- range $what := tuple "journal" "metastore" "shortCircuit" -}}
{{- $size := (get $v $what | default dict).size -}}
{{- if not (kindIs "invalid" $size) -}}{{- include "alluxio.validateSize" (list (printf "%s.size" $what) $size) -}}{{- end -}}
{{- end -}}
{{- range $part := tuple "master" "jobMaster" "worker" "jobWorker" "fuse" "proxy" -}}
{{- $values := get $v $part -}}
{{- if or (not (has $part (list "fuse" "proxy"))) $values.enabled -}}{{- include "alluxio.validateRequests" (list $part $values) -}}{{- end -}}
{{- end -}}
{{- include "alluxio.validatePorts" (list . "master" "jobMaster") -}}
{{- include "alluxio.validatePorts" (list . "worker" "jobWorker") -}}
{{- end -}}
