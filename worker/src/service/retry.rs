//! Decides whether and when a failed job is retried.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use seedbed_protocol::message::SeedJob;

use crate::{backoff::Backoff, seed::SeedError, settings::WorkerConfig};

/// When a job is retried.
pub(super) struct Retry {
    pub(super) delay: Duration,
    pub(super) at: DateTime<Utc>,
}

/// Returns when to retry a job that failed with `error`; `None` when no attempt could help, none is left, or the
/// deadline comes first.
pub(super) fn next_retry(config: &WorkerConfig, job: &SeedJob, error: &SeedError) -> Option<Retry> {
    let is_last = job.attempt.get() >= config.max_attempts && !error.is_overload();
    if !error.is_transient() || is_last {
        return None;
    }
    let backoff = Backoff::between_attempts(config.backoff, config.max_backoff);
    let pause = backoff.pause(job.attempt.get());
    let delay = pause.max(error.retry_after().unwrap_or_default());
    let at = Utc::now().checked_add_signed(TimeDelta::from_std(delay).ok()?)?;
    (at < job.deadline).then_some(Retry { delay, at })
}
