{{- define "alluxio.masterVolumes" -}}
{{- $v := .Values -}}
{{- include "alluxio.sharedVolumes" (list . "master") | nindent 0 }}
{{- if eq $v.journal.volumeType "emptyDir" }}
- {name: alluxio-journal, emptyDir: {medium: {{ $v.journal.medium | quote }}}}
{{- end }}
{{- if and $v.metastore.mountPath (eq ($v.metastore.volumeType | default "persistentVolumeClaim") "emptyDir") }}
- {name: alluxio-metastore, emptyDir: {medium: {{ $v.metastore.medium | default "" | quote }}}}
{{- end }}
{{- with $v.master.extraVolumes }}{{ toYaml . | nindent 0 }}{{ end }}
{{- end -}}
