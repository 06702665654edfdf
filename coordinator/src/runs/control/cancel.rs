//! Cancels the jobs of a run that no worker has started.
//!
//! The catalog changes first, the queue after it. If the broker is away meanwhile, or this is killed in between, messages
//! of cancelled jobs are left: whoever supervises runs removes them, or a worker works on one once more, which harms
//! nothing.

use std::time::Duration;

use seedbed_protocol::{
    JobId, RunId,
    broker::{Broker, Queue},
};
use serde::Serialize;

use crate::{
    catalog::Catalog,
    runs::{
        error::RunError,
        queues::{if_broker_answers, job_id, settle_page, take_page},
    },
};

/// Between two questions whether a run is still being published.
const PUBLISHER_POLL: Duration = Duration::from_millis(200);

/// The result of cancelling a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cancelled {
    /// Jobs of the run that will not start.
    pub cancelled: u64,
    /// Jobs that have started, and continue.
    pub going_on: u64,
    /// Why their messages were not removed from the broker yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages_left: Option<String>,
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
    // A publisher ends its page first, or loses its lease within seconds; what is published after the queue was swept would
    // start.
    while !catalog.stop_publishing(run_id).await? {
        tokio::time::sleep(PUBLISHER_POLL).await;
    }
    catalog.cancel_waiting(run_id).await?;
    let removing = remove_cancelled(catalog, broker, run_id);
    let messages_left = if_broker_answers(broker, removing).await?;
    catalog.finish_runs().await?;
    let totals = catalog.totals(run_id).await?;
    Ok(Cancelled {
        cancelled: totals.cancelled,
        going_on: totals.in_flight,
        messages_left,
    })
}

/// Takes the waiting messages out of the queue, and returns those of jobs that are not cancelled.
pub(in crate::runs) async fn remove_cancelled(
    catalog: &Catalog,
    broker: &dyn Broker,
    run_id: RunId,
) -> Result<(), RunError> {
    let mut left = broker.waiting(Queue::Jobs).await?;
    while left > 0 {
        let page = take_page(broker, Queue::Jobs, left).await?;
        if page.is_empty() {
            break;
        }
        left = left.saturating_sub(page.len() as u64);
        let job_ids: Vec<JobId> = page.iter().filter_map(job_id).collect();
        let cancelled = catalog.cancelled_among(&job_ids).await?;
        settle_page(page, &cancelled).await?;
    }
    Ok(catalog.messages_are_removed(run_id).await?)
}
