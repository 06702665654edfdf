//! What a process tells about itself: log lines on standard error, traces and metrics by OTLP, metrics for Prometheus.
//!
//! ```text
//! tracing spans and events ─┬─ log lines (lines) ─────────────────────────────── standard error
//!                           └─ OpenTelemetry spans ── whole ── batches ────┐
//! instruments of the meter ─┬─ every OTEL_METRIC_EXPORT_INTERVAL ──────────┴─ exporters ── collector
//!                           └─ metrics_text() ── GET /metrics
//! ```
//!
//! Nothing of this ever stops a job or waits for it: what a collector does not take in time is dropped. A kill loses the
//! spans that are still open, with all that ended within them, and what waits for the collector.

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
