//! The metrics of this process for Prometheus to scrape.

use std::sync::OnceLock;

use prometheus::{Registry, TextEncoder};

/// The instruments of this process.
pub(super) static METRICS: OnceLock<Registry> = OnceLock::new();

/// Returns every metric of this process in Prometheus' text format, version 0.0.4.
pub fn metrics_text() -> String {
    let families = METRICS.get().map(Registry::gather).unwrap_or_default();
    // Fails only when a metric has no name.
    TextEncoder::new()
        .encode_to_string(&families)
        .unwrap_or_default()
}

/// The content type of [`metrics_text`].
pub const METRICS_CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;
