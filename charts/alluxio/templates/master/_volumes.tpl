{{/* An emptyDir of at most its size, where it has one. Argument: values of journal or metastore. */}}
{{- define "alluxio.emptyDir" -}}
emptyDir: {medium: {{ .medium | default "" | quote }}{{ with .size }}, sizeLimit: {{ . }}{{ end }}}
{{- end -}}

{{- define "alluxio.masterVolumes" -}}
{{- $v := .Values -}}
{{- include "alluxio.sharedVolumes" (list . "master") | nindent 0 }}
{{- if eq $v.journal.volumeType "emptyDir" }}
- name: alluxio-journal
  {{ include "alluxio.emptyDir" $v.journal }}
{{- end }}
{{- if and ($v.metastore).mountPath (eq ($v.metastore.volumeType | default "persistentVolumeClaim") "emptyDir") }}
- name: alluxio-metastore
  {{ include "alluxio.emptyDir" $v.metastore }}
{{- end }}
{{- with $v.master.extraVolumes }}{{ toYaml . | nindent 0 }}{{ end }}
{{- end -}}
