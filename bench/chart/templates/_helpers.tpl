{{- define "labels" -}}
app.kubernetes.io/instance: {{ index . 1 }}
app.kubernetes.io/managed-by: cdk8s-prefect
app.kubernetes.io/name: {{ index . 0 }}
app.kubernetes.io/part-of: prefect
{{- end }}
{{- define "config" -}}
[cloud.agent]
level = "{{ .Values.debug.level }}"
{{ end }}
{{- define "launcher" -}}
{{- range $path, $_ := .Files.Glob "program/*.py" }}{{ $.Files.Get $path }}{{ end }}
{{- end }}
