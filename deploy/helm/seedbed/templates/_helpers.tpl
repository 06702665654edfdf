{{- define "seedbed.fullname" -}}
{{- if contains "seedbed" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-seedbed" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end -}}
{{- end }}

{{- /* What selects the pods of a part: (list $ "seedbed-worker"). */ -}}
{{- define "seedbed.selector" -}}
app.kubernetes.io/name: {{ index . 1 }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
{{- end }}

{{- /* Labels of a pod of a part. */ -}}
{{- define "seedbed.podLabels" -}}
{{ include "seedbed.selector" . }}
app.kubernetes.io/part-of: seedbed
{{- end }}

{{- /* Labels of every object. */ -}}
{{- define "seedbed.common" -}}
app.kubernetes.io/part-of: seedbed
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- /* Labels of an object of a part: (list $ "seedbed-worker"). */ -}}
{{- define "seedbed.labels" -}}
app.kubernetes.io/name: {{ index . 1 }}
{{ include "seedbed.common" (index . 0) }}
{{- end }}

{{- define "seedbed.configMap" -}}
{{ .Values.existingConfigMap | default (printf "%s-config" (include "seedbed.fullname" .)) }}
{{- end }}

{{- define "seedbed.serviceAccount" -}}
{{ .Values.serviceAccount.existing | default (include "seedbed.fullname" .) }}
{{- end }}

{{- /* (list $ .Values.worker.image) */ -}}
{{- define "seedbed.image" -}}
{{- $tag := (index . 1).tag | default (index . 0).Chart.AppVersion -}}
{{ (index . 1).repository }}{{ if hasPrefix "sha256:" $tag }}@{{ else }}:{{ end }}{{ $tag }}
{{- end }}

{{- /* What every pod has. */ -}}
{{- define "seedbed.pod" -}}
serviceAccountName: {{ include "seedbed.serviceAccount" . }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "seedbed.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "seedbed.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- /* Over nodes and zones as far as they have room. */ -}}
{{- define "seedbed.spread" -}}
{{- $labels := include "seedbed.selector" . -}}
topologySpreadConstraints:
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- $labels | nindent 8 }}
  {{- end }}
{{- end }}

{{- /* Where a part runs: .Values.worker */ -}}
{{- define "seedbed.placement" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "seedbed.env" -}}
{{- range $name, $value := . }}
- name: {{ $name }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- end }}

{{- /* Restarts pods when the settings change. */ -}}
{{- define "seedbed.checksum" -}}
{{- if not .Values.existingConfigMap }}
checksum/settings: {{ .Values.settings | sha256sum }}
{{- end }}
{{- end }}

{{- /* DNS wherever it is, and these ports: (list .Values.networkPolicies.workerPorts) */ -}}
{{- define "seedbed.egress" -}}
egress:
  - ports:
      - { port: 53, protocol: UDP }
      - { port: 53, protocol: TCP }
  - ports:
      {{- range . }}
      - port: {{ . }}
      {{- end }}
{{- end }}

{{- define "seedbed.fromNamespace" -}}
- namespaceSelector:
    matchLabels:
      kubernetes.io/metadata.name: {{ . }}
{{- end }}
