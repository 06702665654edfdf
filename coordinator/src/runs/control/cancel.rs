//! Cancels the jobs of a run that no worker has started.
//!
//! The catalog changes first, the queue after it. Killed in between, a message of a cancelled job is left: cancelling
//! again removes it, or a worker works on it once more, which harms nothing.

use std::time::Duration;

use seedbed_protocol::{
    Attempt, JobId, RunId,
    broker::{Broker, Delivery, Queue},
};
use serde::Serialize;

use crate::{
    catalog::Catalog,
    runs::{
        error::RunError,
        queues::{job_id, settle_page, take_page},
    },
};

/// Between two questions whether a run is still being published.
const PUBLISHER_POLL: Duration = Duration::from_millis(200);

/// The result of cancelling a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Cancelled {
    /// Jobs of the run that will not start.
    pub cancelled: u64,
    /// Jobs that have started, and continue.
    pub going_on: u64,
}

/// Drops every job of `run_id` that no worker has started.
///
/// # Errors
/// [`RunError`]; calling again continues where this stopped.
pub(super) async fn cancel(
    catalog: &Catalog,
    broker: &dyn Broker,
    run_id: RunId,
) -> Result<Cancelled, RunError> {
    // A publisher finishes its page first; what is published after the queue was swept would start.
    while !catalog.stop_publishing(run_id).await? {
        tokio::time::sleep(PUBLISHER_POLL).await;
    }
    catalog.cancel_listed(run_id).await?;
    while drop_waiting(catalog, broker, run_id).await? > 0 {}
    catalog.finish_runs().await?;
    let totals = catalog.totals(run_id).await?;
    Ok(Cancelled {
        cancelled: totals.cancelled,
        going_on: totals.in_flight,
    })
}

/// Takes the waiting messages out of the queue, and returns those of other runs. Returns how many were dropped.
async fn drop_waiting(
    catalog: &Catalog,
    broker: &dyn Broker,
    run_id: RunId,
) -> Result<u64, RunError> {
    let mut left = broker.waiting(Queue::Jobs).await?;
    let mut dropped = 0;
    while left > 0 {
        let page = take_page(broker, Queue::Jobs, left).await?;
        if page.is_empty() {
            break;
        }
        left = left.saturating_sub(page.len() as u64);
        let job_ids: Vec<JobId> = page
            .iter()
            .filter(|delivery| is_unstarted(delivery, run_id))
            .filter_map(job_id)
            .collect();
        let cancelled = catalog.cancel_jobs(&job_ids).await?;
        dropped += cancelled.len() as u64;
        settle_page(page, &cancelled).await?;
    }
    Ok(dropped)
}

fn is_unstarted(delivery: &Delivery, run_id: RunId) -> bool {
    let subject = delivery.message.headers.subject.as_ref();
    delivery.returned == 0
        && subject
            .is_some_and(|subject| subject.run_id == run_id && subject.attempt == Attempt::FIRST)
}
