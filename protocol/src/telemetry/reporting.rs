//! Logs once that a collector stops taking what is exported, and once that it takes it again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    metrics::{Temporality, data::ResourceMetrics, exporter::PushMetricExporter},
    trace::SpanData,
};
use tracing::warn;

/// Remembers whether a collector takes what is exported.
#[derive(Debug, Clone, Default)]
pub(super) struct Reporting {
    failing: Arc<AtomicBool>,
}

impl Reporting {
    /// Returns whether the last export failed.
    pub(super) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    pub(super) fn of<E>(&self, signal: &'static str, exporter: E) -> Reported<E> {
        Reported {
            signal,
            exporter,
            reporting: self.clone(),
        }
    }
}

/// An exporter that logs when it starts to fail and when it recovers, and not for every batch in between.
#[derive(Debug)]
pub(super) struct Reported<E> {
    signal: &'static str,
    exporter: E,
    reporting: Reporting,
}

impl<E> Reported<E> {
    fn note(&self, exported: OTelSdkResult) -> OTelSdkResult {
        let was_failing = self
            .reporting
            .failing
            .swap(exported.is_err(), Ordering::Relaxed);
        match &exported {
            Err(error) if !was_failing => warn!(
                "{} are lost while the collector does not take them: {error}",
                self.signal
            ),
            // At the same level as the warning that it ends.
            Ok(()) if was_failing => warn!("the collector takes {} again", self.signal),
            _ => {}
        }
        exported
    }
}

impl<E: opentelemetry_sdk::trace::SpanExporter> opentelemetry_sdk::trace::SpanExporter
    for Reported<E>
{
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.note(self.exporter.export(batch).await)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Reported<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.note(self.exporter.export(metrics).await)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}
