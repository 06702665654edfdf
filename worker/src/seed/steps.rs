//! The steps of a job: each in a span of its own, timed, and marked when it fails.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
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
async fn try_step<T, E: Into<SeedError>>(
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

/// What the time of an attempt goes into. Whoever has the attempt made keeps it, so that it is known also of one that fails,
/// or is dropped in the middle of a step.
#[derive(Debug, Default)]
pub(crate) struct StepTimes(Mutex<Vec<StepTime>>);

#[derive(Debug)]
enum StepTime {
    Running(&'static str, Instant),
    Ended(StepTiming),
}

impl StepTimes {
    /// Returns the steps in the order in which they began; those that have not ended, as long as they took until now.
    pub(crate) fn until_now(&self) -> Vec<StepTiming> {
        let times = self.lock();
        times.iter().map(StepTime::until_now).collect()
    }

    /// Returns the place of the step.
    fn begin(&self, step: &'static str) -> usize {
        let mut times = self.lock();
        times.push(StepTime::Running(step, Instant::now()));
        times.len() - 1
    }

    fn end(&self, place: usize) {
        let time = &mut self.lock()[place];
        *time = StepTime::Ended(time.until_now());
    }

    fn lock(&self) -> MutexGuard<'_, Vec<StepTime>> {
        // No code panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StepTime {
    fn until_now(&self) -> StepTiming {
        match self {
            Self::Running(step, started) => StepTiming::since(step, *started),
            Self::Ended(timing) => timing.clone(),
        }
    }
}

/// The steps of an attempt, some of them at the same time.
pub(super) struct Steps<'a> {
    metrics: &'a Metrics,
    times: &'a StepTimes,
}

impl<'a> Steps<'a> {
    pub(super) fn new(metrics: &'a Metrics, times: &'a StepTimes) -> Self {
        Self { metrics, times }
    }

    /// Runs a step, and records how long it took, also if it fails.
    pub(super) async fn run<T, E: Into<SeedError>>(
        &self,
        step: &'static str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, SeedError> {
        let place = self.times.begin(step);
        // Boxed, since each future around it would have room for it twice: a stack is small.
        let result = try_step(self.metrics, step, Box::pin(work)).await;
        self.times.end(place);
        result
    }

    /// Returns the steps that have ended.
    pub(super) fn timings(&self) -> Vec<StepTiming> {
        self.times.until_now()
    }
}

/// Runs `work` on a thread that may block. When the job is abandoned it continues until an `InterruptOnDrop` ends its
/// statement, or a `StopOnDrop` its reading of pages.
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
