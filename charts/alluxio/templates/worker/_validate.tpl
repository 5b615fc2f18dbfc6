{{/* Fails where clients shall open the files of tiers that their pods cannot see. */}}
{{- define "alluxio.validateOpenTiers" -}}
{{- if and (include "alluxio.openTiers" .) .Values.fuse.enabled -}}
{{- $folder := include "alluxio.fuseFolder" . -}}
{{- range $level := .Values.tieredstore.levels -}}
{{- $types := splitList "," .type -}}
{{- range $i, $path := splitList "," .path -}}
{{- $type := trim (index $types (min $i (sub (len $types) 1) | int)) -}}
{{- if eq $type "emptyDir" -}}
{{- fail (printf "shortCircuit.policy is local, where FUSE opens the files of its node's worker, but tieredstore.levels has %s of level %v in an emptyDir, which only the worker's pod sees. Set the level's type to hostPath, or shortCircuit.policy to uuid." (trim $path) $level.level) -}}
{{- end -}}
{{- if and (eq $type "persistentVolumeClaim") (hasPrefix $folder (printf "%s/" (trim $path))) -}}
{{- fail (printf "shortCircuit.policy is local, but tieredstore.levels has the claim of level %v at %s, in the folder of fuse.mountPoint, where FUSE would mount it on the node, too. Give the level a path outside of %s, or set shortCircuit.policy to uuid." $level.level (trim $path) $folder) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
