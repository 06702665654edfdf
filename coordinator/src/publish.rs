//! Publishes the jobs of a run: page by page, many at a time, each page recorded before the next.
//!
//! Whoever publishes a run holds its lease, so that two coordinators never publish the same job, and a run
//! whose coordinator was killed is taken over when the lease has run out. Killed between the broker's word and
//! the record of it, at most one page is published again: its jobs may come to two workers, each of which
//! makes a whole snapshot, and the catalog counts one.

use std::{sync::Arc, time::Duration};

use chrono::Utc;
use futures::{StreamExt, TryStreamExt, stream};
use seedbed_protocol::{
    Attempt, JobId, RunId,
    broker::{Broker, Message, Queue},
    message::{Scope, SeedJob},
    trace::{TraceContext, trace_id},
};
use tracing::{Instrument, Span, info_span};

use crate::{
    catalog::{Catalog, PendingJob, QueuedJob},
    config::Settings,
    run::{RunError, Selection},
};

/// Jobs that are read from the catalog at a time.
const PAGE: i64 = 512;

/// Jobs whose confirmation is awaited at the same time: one round trip for all of them.
const IN_FLIGHT: usize = 256;

/// How long a run belongs to a publisher that is not heard of. It renews its lease for each page.
const LEASE: Duration = Duration::from_secs(15);

/// Publishes jobs on behalf of one process.
pub struct Publisher {
    catalog: Catalog,
    broker: Arc<dyn Broker>,
    settings: Settings,
    /// What this process is called in a lease.
    holder: String,
}

/// What came of publishing a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// No job of it is left to publish.
    All,
    /// Somebody else publishes it, or has cancelled it.
    Elsewhere,
}

impl Publisher {
    /// Publishes to `broker` what `catalog` lists.
    pub fn new(catalog: Catalog, broker: Arc<dyn Broker>, settings: Settings) -> Self {
        Self {
            catalog,
            broker,
            settings,
            holder: JobId::new().to_string(),
        }
    }

    /// Publishes every job of the run that was not published yet, as fast as the broker takes them.
    ///
    /// # Errors
    /// [`RunError`]; publishing again goes on where this stopped.
    pub async fn publish(&self, run_id: RunId, run_span: &Span) -> Result<Published, RunError> {
        let mut after = None;
        loop {
            if !self.catalog.lease_run(run_id, &self.holder, LEASE).await? {
                return Ok(Published::Elsewhere);
            }
            let page = self.catalog.listed_jobs(run_id, after, PAGE).await?;
            let Some(last) = page.last() else {
                self.catalog.release_run(run_id, &self.holder).await?;
                return Ok(Published::All);
            };
            after = Some((last.position, last.job_id));
            let published: Vec<QueuedJob> = stream::iter(page)
                .map(|job| self.publish_job(job, run_span))
                .buffer_unordered(self.in_flight())
                .try_collect()
                .await?;
            self.catalog.mark_queued(&published).await?;
        }
    }

    /// In memory, a job's deadline would run while it waits for room.
    fn in_flight(&self) -> usize {
        if self.settings.broker.is_memory() {
            1
        } else {
            IN_FLIGHT
        }
    }

    async fn publish_job(&self, job: PendingJob, run_span: &Span) -> Result<QueuedJob, RunError> {
        // A trace of its own, that the run's points to: a run of 100,000 jobs in one trace would be of use to
        // nobody.
        let span = info_span!(
            parent: None,
            "publish",
            seedbed.run_id = %job.run_id,
            seedbed.job_id = %job.job_id,
            seedbed.store_id = %job.scope.store_id,
        );
        span.follows_from(run_span);
        let trace_id = trace_id(&span);
        let job = self.seed_job(job)?;
        let publish = async {
            let message = Message::job(&job, TraceContext::of(&Span::current()));
            let message = message.map_err(|source| RunError::Job {
                store_id: job.scope.store_id.to_string(),
                source,
            })?;
            Ok::<_, RunError>(self.broker.publish(Queue::Jobs, message).await?)
        };
        publish.instrument(span).await?;
        Ok(QueuedJob {
            job_id: job.job_id,
            trace_id,
            deadline: job.deadline,
        })
    }

    fn seed_job(&self, job: PendingJob) -> Result<SeedJob, RunError> {
        let selection =
            Selection::of(&job.scope, &self.settings).map_err(|(setting, source)| {
                RunError::Template {
                    setting,
                    store_id: job.scope.store_id.to_string(),
                    position: job.position.unsigned_abs(),
                    origin: "the list of stores".to_owned(),
                    source,
                }
            })?;
        Ok(seed_job(
            &self.settings,
            job.run_id,
            job.job_id,
            job.scope,
            selection,
        ))
    }
}

/// The message for a job that is to start now.
pub(crate) fn seed_job(
    settings: &Settings,
    run_id: RunId,
    job_id: JobId,
    scope: Scope,
    selection: Selection,
) -> SeedJob {
    SeedJob {
        run_id,
        job_id,
        scope,
        parameters: selection.parameters,
        default_streams: settings.sync.default_streams,
        subscriptions: selection.subscriptions,
        attempt: Attempt::FIRST,
        deadline: Utc::now() + settings.worker.job_deadline,
        base: None,
    }
}
