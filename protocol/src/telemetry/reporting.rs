//! Logs once that a collector stops taking what is exported, and once that it takes it again; of one that comes and goes, once that
//! it does, and once that this has ended.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    metrics::{Temporality, data::ResourceMetrics, exporter::PushMetricExporter},
    trace::SpanData,
};
use tracing::warn;

/// A collector that fails again within this time after it came back comes and goes; without a failure for as long, it no longer does.
const CALM: Duration = Duration::from_secs(300);

/// Remembers whether a collector takes what is exported.
#[derive(Debug, Clone, Default)]
pub(super) struct Reporting {
    heard: Arc<Mutex<Heard>>,
}

/// What was heard of a collector, and what was said of it.
#[derive(Debug, Default)]
struct Heard {
    /// Whether the last export failed.
    failing: bool,
    /// When one failed last.
    failed_at: Option<Instant>,
    said: Said,
}

/// The last line about a collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Said {
    /// None, or one that is long over.
    #[default]
    Nothing,
    Lost,
    Again(Instant),
    ComesAndGoes,
}

impl Heard {
    /// Takes note of an export, and returns the line that is due.
    fn note(&mut self, is_taken: bool, now: Instant) -> Option<Said> {
        self.failing = !is_taken;
        let said = match (self.said, is_taken) {
            (Said::Nothing, false) => Said::Lost,
            (Said::Again(at), false) if now - at < CALM => Said::ComesAndGoes,
            (Said::Again(_), false) => Said::Lost,
            (Said::Lost, true) => Said::Again(now),
            (Said::ComesAndGoes, true) if self.failed_at.is_none_or(|at| now - at >= CALM) => {
                Said::Again(now)
            }
            (said, _) => said,
        };
        if !is_taken {
            self.failed_at = Some(now);
        }
        let is_new = said != self.said;
        self.said = said;
        is_new.then_some(said)
    }
}

impl Reporting {
    /// Returns whether the last export failed.
    pub(super) fn is_failing(&self) -> bool {
        self.lock().failing
    }

    pub(super) fn of<E>(&self, signal: &'static str, exporter: E) -> Reported<E> {
        Reported {
            signal,
            exporter,
            reporting: self.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        // No code panics while it holds the lock.
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
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
        let said = self.reporting.lock().note(exported.is_ok(), Instant::now());
        let signal = self.signal;
        match (said, &exported) {
            (Some(Said::Lost), Err(error)) => {
                warn!("{signal} are lost while the collector does not take them: {error}");
            }
            (Some(Said::ComesAndGoes), Err(error)) => warn!(
                "{signal} are lost now and again, since the collector comes and goes; the next line about it is when that \
                 has ended: {error}"
            ),
            // At the same level as the warning that it ends.
            (Some(Said::Again(_)), _) => warn!("the collector takes {signal} again"),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_that_comes_and_goes_is_told_once_and_once_more_when_that_has_ended() {
        let start = Instant::now();
        let mut heard = Heard::default();
        let mut note = |seconds: u64, is_taken| {
            let said = heard.note(is_taken, start + Duration::from_secs(seconds));
            said.map(|said| match said {
                Said::Nothing => "nothing",
                Said::Lost => "lost",
                Said::Again(_) => "again",
                Said::ComesAndGoes => "comes and goes",
            })
        };
        assert_eq!(note(0, true), None);
        assert_eq!(note(1, false), Some("lost"));
        assert_eq!(note(2, false), None);
        assert_eq!(note(3, true), Some("again"));
        assert_eq!(note(4, false), Some("comes and goes"));
        for second in 5..200 {
            assert_eq!(note(second, second % 2 == 0), None);
        }
        assert_eq!(note(300, true), None);
        assert_eq!(note(500, true), Some("again"));
        assert_eq!(note(501, true), None);
        assert_eq!(note(900, false), Some("lost"), "that is another time");
    }
}
