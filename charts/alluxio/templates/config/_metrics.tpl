{{/* What Alluxio reads of its metrics' sinks: those that are on, each with what the values say of it. */}}
{{- define "alluxio.metrics" -}}
{{- $metrics := .Values.metrics -}}
{{- if ($metrics.PrometheusMetricsServlet).enabled -}}
sink.prometheus.class=alluxio.metrics.sink.PrometheusMetricsServlet
{{ end -}}
{{- range $sink := tuple "ConsoleSink" "CsvSink" "GraphiteSink" "JmxSink" "Slf4jSink" -}}
{{- $values := get $metrics $sink | default dict -}}
{{- if $values.enabled -}}
{{- $name := trimSuffix "Sink" $sink | lower | printf "sink.%s" -}}
{{ $name }}.class=alluxio.metrics.sink.{{ $sink }}
{{ range $key, $value := omit $values "enabled" -}}
{{- if not (kindIs "invalid" $value) -}}
{{ $name }}.{{ kebabcase $key }}={{ $value }}
{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
