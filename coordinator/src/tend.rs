//! Keeps runs from getting stuck when a process is killed: publishes what a killed coordinator left unpublished,
//! gives up jobs that no worker can finish any more, and ends runs that have no job left.
//!
//! Every coordinator that stays around does this. It is safe that several do, because each step is one change in
//! the catalog that only one of them makes.

use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::MissedTickBehavior;
use tracing::{Span, warn};

use crate::{catalog::Catalog, publish::Publisher, run::RunError};

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(5);

/// How long after its deadline a job is given up: its last event may still be on the way, and clocks differ.
const GRACE: TimeDelta = TimeDelta::minutes(2);

/// Looks after all runs of `catalog`.
///
/// # Errors
/// [`RunError`] when the catalog or the broker fails.
pub async fn tend(catalog: &Catalog, publisher: &Publisher) -> Result<(), RunError> {
    for run_id in catalog.unpublished_runs().await? {
        warn!(run = %run_id, "publishing what another coordinator left unpublished");
        publisher.publish(run_id, &Span::none()).await?;
    }
    let expired = catalog.expire_jobs(GRACE).await?;
    if expired > 0 {
        warn!(jobs = expired, "gave up jobs whose deadline has passed");
    }
    Ok(catalog.finish_runs().await?)
}

/// Looks after all runs, again and again.
///
/// # Errors
/// As [`tend`], unless it may pass; else it never ends.
pub async fn keep_tending(catalog: &Catalog, publisher: &Publisher) -> Result<(), RunError> {
    let mut ticks = tokio::time::interval(PAUSE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match tend(catalog, publisher).await {
            Err(error) if error.is_transient() => warn!("looking after runs later: {error}"),
            tended => tended?,
        }
    }
}
