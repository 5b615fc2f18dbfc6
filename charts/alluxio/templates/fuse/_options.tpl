{{/* What FUSE is told, in pods of its own and in the worker. */}}
{{- define "alluxio.fuseProperties" -}}
alluxio.user.metadata.cache.enabled: true
alluxio.user.metadata.cache.max.size: 200000
{{- /* As long as the kernel's own times in fuse.mountOptions: what it has forgotten shall not be answered from here. */}}
alluxio.user.metadata.cache.expiration.time: 1min
alluxio.user.update.file.accesstime.disabled: true
{{- /* A copy of each block that another worker holds would cost the first epoch half its speed and evict what is loaded. */}}
alluxio.user.file.passive.cache.enabled: false
{{- /* A worker whose pod is gone answers nobody, not even with a refusal: Alluxio waits 35 s to connect to it and 45 s more to
    give that up in order, for each file anew, and 3 min on a connection that was there. What is given up too early is tried again. */}}
alluxio.network.connection.health.check.timeout: 1sec
alluxio.network.connection.auth.timeout: 3sec
alluxio.network.connection.shutdown.graceful.timeout: 500ms
{{- /* Nor does one of several masters: all are asked at once for the one that leads, and not one after the other for 30 s each. */}}
alluxio.user.master.polling.concurrent: true
alluxio.user.master.polling.timeout: 5sec
{{- /* Where one of them goes in the middle of an answer, its connection is silent: Alluxio finds out after a minute or more. Not below ten seconds, by gRPC. */}}
{{- range list "rpc" "streaming" }}
alluxio.user.network.{{ . }}.keepalive.time: 10sec
alluxio.user.network.{{ . }}.keepalive.timeout: 5sec
{{- end }}
{{- end -}}

{{/* The same, but for what all parts are told by the user: on the command line those of a part win over them. */}}
{{- define "alluxio.fuseDefaults" -}}
{{- $p := include "alluxio.fuseProperties" . | fromYaml -}}
{{- range $key, $value := .Values.properties -}}{{- if not (kindIs "invalid" $value) -}}{{- $_ := unset $p $key -}}{{- end -}}{{- end -}}
{{- toYaml $p -}}
{{- end -}}

{{- define "alluxio.options.fuse" -}}
{{- $p := include "alluxio.fuseDefaults" . | fromYaml -}}
{{- $_ := set $p "alluxio.user.hostname" "${ALLUXIO_CLIENT_HOSTNAME}" -}}
{{- if .Values.metrics.enabled -}}{{- $_ := set $p "alluxio.fuse.web.enabled" true -}}{{- end -}}
{{- include "alluxio.options" (list .Values.fuse.properties $p .Values.fuse.jvmOptions) -}}
{{- end -}}
