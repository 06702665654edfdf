//! Why telemetry cannot start.

use opentelemetry_otlp::ExporterBuildError;

/// Why telemetry cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("log.level {level:?} is not a log filter: {reason}")]
    LogLevel { level: String, reason: String },
    #[error(transparent)]
    Otlp(#[from] OtlpError),
}

/// An `OTEL_*` variable is wrong.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    #[error("{variable} is {value:?}; it has to be {expected}")]
    Variable {
        variable: &'static str,
        value: String,
        expected: &'static str,
    },
    #[error("{variable}: {path}: {reason}")]
    File {
        variable: &'static str,
        path: String,
        reason: String,
    },
    #[error("cannot export {signal} with these OTEL_EXPORTER_OTLP_* variables: {source}")]
    Exporter {
        signal: &'static str,
        source: ExporterBuildError,
    },
}
