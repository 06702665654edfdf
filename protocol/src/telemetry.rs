//! Logs on standard error, traces and metrics by OTLP, metrics for Prometheus: what a process reports about itself.
//!
//! ```text
//! tracing spans and events ─┬─ log lines (lines) ─────────────────────────────── standard error
//!                           └─ OpenTelemetry spans ── whole ── batches ────┐
//! instruments of the meter ─┬─ every OTEL_METRIC_EXPORT_INTERVAL ──────────┴─ exporters ── collector
//!                           └─ metrics_text() ── GET /metrics
//! ```
//!
//! Telemetry never stops or delays a job: what a collector does not take in time is dropped. A kill loses the spans
//! that are open, with all that ended within them, and what is buffered for the collector.

mod config;
mod error;
mod exporters;
mod lines;
mod logs;
mod process;
mod reporting;
mod scope;
mod scrape;
pub mod trace;
mod variables;
mod whole;

pub use config::{LogConfig, LogFormat};
pub use error::{OtlpError, TelemetryError};
pub use process::Telemetry;
pub use scope::{SCOPE, meter};
pub use scrape::{METRICS_CONTENT_TYPE, metrics_text};
