{{/* The directories of the tiers: several media of one level are separated by commas. Argument: [root, path whose folders are mounted anyhow]. */}}
{{- define "alluxio.tierVolumes" -}}
{{- $under := index . 1 -}}
{{- range $level := (index . 0).Values.tieredstore.levels }}
{{- $media := splitList "," $level.mediumtype }}
{{- $types := splitList "," $level.type }}
{{- $names := splitList "," ($level.name | default "") }}
{{- $quotas := splitList "," (toString $level.quota) }}
{{- range $i, $path := splitList "," $level.path }}
{{- if not (hasPrefix $under (printf "%s/" (trim $path))) }}
- name: tier-{{ $level.level }}-{{ $i }}
  {{- $type := trim (index $types (min $i (sub (len $types) 1) | int)) }}
  {{- if eq $type "hostPath" }}
  hostPath: {path: {{ trim $path }}, type: Directory}
  {{- else if eq $type "persistentVolumeClaim" }}
  persistentVolumeClaim: {claimName: {{ trim (index $names (min $i (sub (len $names) 1) | int)) }}}
  {{- else }}
  emptyDir:
    {{- if eq (trim (index $media (min $i (sub (len $media) 1) | int))) "MEM" }}
    medium: Memory
    {{- end }}
    sizeLimit: {{ trim (index $quotas (min $i (sub (len $quotas) 1) | int)) }}
  {{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "alluxio.workerMounts" -}}
{{- if include "alluxio.domainSocket" . }}
- {name: alluxio-domain, mountPath: /opt/domain}
{{- end }}
{{- include "alluxio.sharedMounts" (list . "worker") }}
{{- include "alluxio.tierMounts" (list . "-") }}
{{- end -}}

{{/* Where the tiers are in a container: the worker's own paths, which it tells its clients. Argument: as above. */}}
{{- define "alluxio.tierMounts" -}}
{{- $under := index . 1 -}}
{{- range $level := (index . 0).Values.tieredstore.levels }}
{{- range $i, $path := splitList "," $level.path }}
{{- if not (hasPrefix $under (printf "%s/" (trim $path))) }}
- {name: tier-{{ $level.level }}-{{ $i }}, mountPath: {{ trim $path }}}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* What of the nodes FUSE has anyhow: the folder above its mount. A volume within it would be mounted on the node, too. */}}
{{- define "alluxio.fuseFolder" -}}{{ dir .Values.fuse.mountPoint }}/{{- end -}}

{{- define "alluxio.fuseVolumes" -}}
- {name: alluxio-fuse-device, hostPath: {path: /dev/fuse, type: CharDevice}}
- {name: alluxio-fuse-mount, hostPath: {path: {{ dir .Values.fuse.mountPoint }}, type: DirectoryOrCreate}}
{{- end -}}
