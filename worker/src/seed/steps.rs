//! The steps of a job: each in a span of its own, timed, and marked when it fails.

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

use seedbed_protocol::{manifest::StepTiming, telemetry::trace::fail};
use tracing::{Instrument, Span, info_span};

use super::error::SeedError;
use crate::metrics::Metrics;

/// Runs one step of a job in a span of its own, and times it.
pub(crate) async fn step<T>(
    metrics: &Metrics,
    name: &'static str,
    work: impl Future<Output = T>,
) -> T {
    let started = Instant::now();
    let span = info_span!("step", otel.name = name);
    let done = work.instrument(span).await;
    metrics.step(name, started.elapsed());
    done
}

/// Runs a [`step`] and marks its span as failed if it fails.
pub(super) async fn try_step<T, E: Into<SeedError>>(
    metrics: &Metrics,
    name: &'static str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, SeedError> {
    let marked = async {
        let done = work.await.map_err(Into::into);
        if let Err(error) = &done {
            fail(&Span::current(), error.name(), error);
        }
        done
    };
    step(metrics, name, marked).await
}

/// The steps that have succeeded, with their durations, in the order in which they began. Some go on at the same time.
pub(super) struct Steps<'a> {
    metrics: &'a Metrics,
    done: Mutex<Vec<Option<StepTiming>>>,
}

impl<'a> Steps<'a> {
    pub(super) fn new(metrics: &'a Metrics) -> Self {
        let done = Mutex::default();
        Self { metrics, done }
    }

    /// Runs a step, and records its duration if it succeeds.
    pub(super) async fn run<T, E: Into<SeedError>>(
        &self,
        step: &'static str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, SeedError> {
        let started = Instant::now();
        let place = self.with(|done| {
            done.push(None);
            done.len() - 1
        });
        let result = try_step(self.metrics, step, work).await?;
        self.with(|done| done[place] = Some(StepTiming::since(step, started)));
        Ok(result)
    }

    fn with<T>(&self, change: impl FnOnce(&mut Vec<Option<StepTiming>>) -> T) -> T {
        change(&mut self.done.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn into_timings(self) -> Vec<StepTiming> {
        let done = self.done.into_inner();
        let done = done.unwrap_or_else(PoisonError::into_inner);
        done.into_iter().flatten().collect()
    }
}

/// Runs `work` on a thread that may block. When the job is abandoned it continues until an `InterruptOnDrop` ends its
/// statement.
pub(super) async fn blocking<T, E>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, SeedError>
where
    T: Send + 'static,
    E: Into<SeedError> + Send + 'static,
{
    let span = Span::current();
    match tokio::task::spawn_blocking(move || span.in_scope(work)).await {
        Ok(result) => result.map_err(Into::into),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => Err(SeedError::Panic(error.to_string())),
        },
    }
}
