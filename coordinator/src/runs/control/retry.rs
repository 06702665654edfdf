//! Retries failed jobs.
//!
//! A retry is a new job in a new run, with an id that sorts after every earlier one: the snapshot of the later job stays the live
//! one, and nothing that is still reported about the old job can be mistaken for it. The catalog changes first, the queue
//! after it. Killed in between, a parked message is left that no job needs: the next retry removes it.

use seedbed_protocol::{
    JobId,
    broker::{Broker, Queue},
    telemetry::trace::{attribute, fail},
};
use tracing::{Instrument, info_span, warn};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::{
    catalog::{Catalog, FailedJobs, Retried, RunKind},
    runs::{
        error::RunError,
        queues::{if_broker_answers, job_id, settle_page, take_page},
    },
};

/// Lists these failed jobs as new ones, which are then to be published; and removes the parked messages of those that they
/// replace.
///
/// # Errors
/// [`RunError`], but not of a broker that is away: then the parked messages stay.
pub(super) async fn retry(
    catalog: &Catalog,
    broker: &dyn Broker,
    which: FailedJobs<'_>,
) -> Result<Retried, RunError> {
    let span = info_span!("run", seedbed.kind = RunKind::Retry.name());
    let retried = catalog.retry(which);
    let retried = retried.instrument(span.clone()).await;
    if let Err(error) = &retried {
        fail(&span, "list", error);
    }
    let retried = retried?;
    span.set_attribute("seedbed.jobs", attribute(retried.jobs));
    // The jobs are listed: whatever happens to these messages does not undo that.
    let left = if_broker_answers(broker, remove_parked(catalog, broker)).await;
    if let Some(reason) = left.unwrap_or_else(|error| Some(error.to_string())) {
        warn!("parked messages of the jobs that start over stay until the next retry: {reason}");
    }
    Ok(retried)
}

/// Removes parked messages of jobs that are no longer failed. Others stay, and so does what is no job.
async fn remove_parked(catalog: &Catalog, broker: &dyn Broker) -> Result<(), RunError> {
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
