//! Why telemetry cannot start.

use opentelemetry_otlp::ExporterBuildError;

/// Why telemetry cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The configured log level is not a filter.
    #[error("log.level {level:?} is not a log filter: {reason}")]
    LogLevel {
        /// What it is.
        level: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An `OTEL_*` variable is wrong.
    #[error(transparent)]
    Otlp(#[from] OtlpError),
}

/// An `OTEL_*` variable is wrong.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    /// Its value makes no sense.
    #[error("{variable} is {value:?}; it has to be {expected}")]
    Variable {
        /// Its name.
        variable: &'static str,
        /// What it is.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// It names a file that cannot be used.
    #[error("{variable}: {path}: {reason}")]
    File {
        /// Its name.
        variable: &'static str,
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The exporter does not accept them.
    #[error("cannot export {signal} with these OTEL_EXPORTER_OTLP_* variables: {source}")]
    Exporter {
        /// Traces or metrics.
        signal: &'static str,
        /// Why.
        source: ExporterBuildError,
    },
}
