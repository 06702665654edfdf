//! `seedbed retry` and `seedbed cancel`: jobs that come back, and jobs that never start.
//!
//! The catalog changes first, the queues after it. Killed in between, a message is left that nobody waits for:
//! the next call of the same command removes it, or a worker works on it once more, which harms nothing.

use std::{collections::HashSet, time::Duration};

use futures::future::try_join_all;
use seedbed_protocol::{
    Attempt, JobId, RunId, StoreId,
    broker::{Broker, BrokerError, Delivery, Queue},
};
use serde::Serialize;

use crate::catalog::{Catalog, CatalogError, Retried};

/// Messages that are looked up in the catalog, and settled, at a time. RabbitMQ passes 32 settlements of a channel on
/// to a quorum queue before it waits for the queue's word, and forgets those that still wait when the channel closes
/// (`SOFT_LIMIT` in rabbit_fifo_client): then messages of cancelled jobs would come back.
const PAGE: usize = 30;

/// Between two questions whether a run is still being published.
const PAUSE: Duration = Duration::from_millis(200);

/// Why jobs could not be requeued or dropped.
#[derive(Debug, thiserror::Error)]
pub enum RequeueError {
    /// The catalog refused.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The broker failed.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

/// Lists the failed jobs of `run_id`, or of every run, as new ones, which are then to be published; and removes
/// the parked messages of those that they replace. Only those of `stores`, unless that is empty.
///
/// # Errors
/// [`RequeueError`].
pub async fn retry(
    catalog: &Catalog,
    broker: &dyn Broker,
    run_id: Option<RunId>,
    stores: &[StoreId],
) -> Result<Retried, RequeueError> {
    let retried = catalog.retry_failed(run_id, stores).await?;
    remove_parked(catalog, broker).await?;
    Ok(retried)
}

/// Removes parked messages of jobs that are no longer failed. Others stay, and so does what is no job.
async fn remove_parked(catalog: &Catalog, broker: &dyn Broker) -> Result<(), RequeueError> {
    let mut left = broker.waiting(Queue::ParkedJobs).await?;
    while left > 0 {
        let page = take_page(broker, Queue::ParkedJobs, left).await?;
        if page.is_empty() {
            break;
        }
        left = left.saturating_sub(page.len() as u64);
        let job_ids: Vec<JobId> = page.iter().filter_map(job_id).collect();
        let over = catalog.replaced_among(&job_ids).await?;
        settle_page(page, &over).await?;
    }
    Ok(())
}

/// What became of the jobs of a cancelled run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Cancelled {
    /// Jobs of the run that will not start.
    pub cancelled: u64,
    /// Jobs that have started, and go on.
    pub going_on: u64,
}

/// Drops every job of `run_id` that no worker has started.
///
/// # Errors
/// [`RequeueError`]; calling again goes on where this stopped.
pub async fn cancel(
    catalog: &Catalog,
    broker: &dyn Broker,
    run_id: RunId,
) -> Result<Cancelled, RequeueError> {
    // Whoever publishes it ends a page first; what is published after the queue was swept would start.
    while !catalog.stop_publishing(run_id).await? {
        tokio::time::sleep(PAUSE).await;
    }
    catalog.cancel_listed(run_id).await?;
    while sweep(catalog, broker, run_id).await? > 0 {}
    catalog.finish_runs().await?;
    let totals = catalog.totals(run_id).await?;
    Ok(Cancelled {
        cancelled: totals.cancelled,
        going_on: totals.in_flight,
    })
}

/// Takes the messages that wait out of the queue, and puts back those of other runs. How many were dropped.
async fn sweep(catalog: &Catalog, broker: &dyn Broker, run_id: RunId) -> Result<u64, RequeueError> {
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

/// Acknowledges the messages of these jobs and puts the others back, all at once.
async fn settle_page(page: Vec<Delivery>, over: &HashSet<JobId>) -> Result<(), BrokerError> {
    let settling = page.into_iter().map(async |delivery| {
        if job_id(&delivery).is_some_and(|job_id| over.contains(&job_id)) {
            delivery.ack().await
        } else {
            delivery.hand_back().await
        }
    });
    try_join_all(settling).await.map(drop)
}

fn is_unstarted(delivery: &Delivery, run_id: RunId) -> bool {
    let subject = delivery.message.headers.subject.as_ref();
    delivery.returned == 0
        && subject
            .is_some_and(|subject| subject.run_id == run_id && subject.attempt == Attempt::FIRST)
}

fn job_id(delivery: &Delivery) -> Option<JobId> {
    let subject = delivery.message.headers.subject.as_ref();
    subject.map(|subject| subject.job_id)
}

/// The oldest messages of `queue`, at most `limit` and at most a page.
async fn take_page(
    broker: &dyn Broker,
    queue: Queue,
    limit: u64,
) -> Result<Vec<Delivery>, BrokerError> {
    let mut page = Vec::new();
    while page.len() < PAGE && (page.len() as u64) < limit {
        match broker.take(queue).await? {
            Some(delivery) => page.push(delivery),
            None => break,
        }
    }
    Ok(page)
}
