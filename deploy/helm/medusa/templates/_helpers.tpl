{{- define "medusa.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "medusa.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains (include "medusa.name" .) .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "medusa.name" .) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "medusa.selector" -}}
app.kubernetes.io/name: {{ include "medusa.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "medusa.labels" -}}
{{ include "medusa.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "medusa.scheme" -}}
{{ if .Values.tls.existingSecret }}https{{ else }}http{{ end }}
{{- end }}

{{/* Not empty if users sign. */}}
{{- define "medusa.signed" -}}
{{ if or .Values.accounts .Values.accountsSecret.name }}yes{{ end }}
{{- end }}

{{/* Not empty if the sessions are registered in Redis. */}}
{{- define "medusa.shared" -}}
{{ if or .Values.redis.url .Values.redis.existingSecret }}yes{{ end }}
{{- end }}

{{/* A number as a reflector reads it: the engine's own form of a large one is 1e+07. */}}
{{- define "medusa.plain" -}}
{{- if and (kindIs "float64" .) (eq . (floor .)) }}{{ printf "%.0f" . }}{{ else }}{{ toString . }}{{ end }}
{{- end }}

{{/* The Secret's key for the account or user `.`: a login may have characters that a key may not. */}}
{{- define "medusa.accountKey" -}}
keys-{{ sha256sum . | trunc 16 }}
{{- end }}

{{/* Fails for values that the reflector would refuse, or that would leave its users outside. */}}
{{- define "medusa.check" -}}
{{- $signed := include "medusa.signed" . }}
{{- if not .Values.image.repository }}
{{- fail "image.repository: missing; build deploy/Dockerfile and push it to a registry of yours" }}
{{- end }}
{{- if and (not $signed) (not .Values.trustedNetwork) }}
{{- fail "accounts: missing; give accounts or accountsSecret.name, or trustedNetwork: true if everyone who reaches the Service may attach to any session" }}
{{- end }}
{{- if and $signed .Values.trustedNetwork }}
{{- fail "trustedNetwork: with it nobody has to sign, so that accounts protect nothing; give one of them" }}
{{- end }}
{{- if and .Values.accounts .Values.accountsSecret.name }}
{{- fail "accountsSecret.name: give this or accounts, not both" }}
{{- end }}
{{- if and .Values.admins (not $signed) }}
{{- fail "admins: these are accounts; give accounts or accountsSecret.name as well" }}
{{- end }}
{{- if and .Values.redis.url .Values.redis.existingSecret }}
{{- fail "redis.existingSecret: give this or redis.url, not both" }}
{{- end }}
{{- /* Not by the schema: its errors show the value, and these are secrets. */}}
{{- if and .Values.redis.url (not (regexMatch "^rediss?([+](sentinel|cluster|unix))?://." .Values.redis.url)) }}
{{- fail "redis.url: it begins with redis:// or rediss://, or has +sentinel or +cluster before the colon" }}
{{- end }}
{{- if and .Values.siteSecret.value (lt (len .Values.siteSecret.value) 16) }}
{{- fail "siteSecret.value: less than 16 bytes; try: openssl rand -hex 32" }}
{{- end }}
{{- if and (gt (int .Values.replicas) 1) (not (include "medusa.shared" .)) }}
{{- fail "replicas: several replicas find each other's sessions in Redis; give redis.url or redis.existingSecret" }}
{{- end }}
{{- if and (gt (int .Values.replicas) 1) .Values.tls.existingSecret }}
{{- fail "tls.existingSecret: replicas reach each other by the pods' addresses, for which no certificate is; let the Ingress speak TLS" }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) }}
{{- fail "ingress.hosts: missing; name the host by which users and jobs reach the reflector" }}
{{- end }}
{{- if and .Values.metrics.serviceMonitor.enabled (not .Values.metrics.allowFrom) (not .Values.trustedNetwork) }}
{{- fail "metrics.allowFrom: missing; name the network of Prometheus' pods, which may then read /metrics" }}
{{- end }}
{{- end }}
