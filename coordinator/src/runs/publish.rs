//! Publishes the jobs of a run: page by page, many at a time, each page recorded before the next.
//!
//! A publisher holds the run's lease, so that two coordinators never publish the same job; when a coordinator was
//! killed, another one takes the run over as soon as the lease has run out. Killed between the broker's confirmation
//! and the record of it, at most one page is published again: its jobs may come to two workers, each of which makes
//! a whole snapshot, and the catalog counts one.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use futures::{StreamExt, stream};
use seedbed_protocol::{
    JobId, RunId,
    broker::{
        Broker, Message, Queue, Subject,
        patience::in_vain,
        spans::{publish_in, publish_span},
    },
    manifest::FullReason,
    message::Start,
    telemetry::trace::{TraceContext, fail, trace_id},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, error, info_span, warn};

use super::{base::starts, error::RunError, job::JobMaker};
use crate::{
    catalog::{Catalog, PendingJob, QueuedJob},
    metrics::PublishMetrics,
    settings::SyncConfig,
};

/// Jobs that are read from the catalog at a time.
const PUBLISH_PAGE: i64 = 512;

/// The same in memory, where each waits for a worker: stopping the run waits for the end of a page.
const PUBLISH_PAGE_IN_MEMORY: i64 = 8;

/// Jobs whose confirmation is awaited at the same time: one round trip for all of them.
const IN_FLIGHT: usize = 256;

/// How long a lease lasts if it is not renewed. A publisher renews it for each page.
const LEASE: Duration = Duration::from_secs(15);

/// Publishes jobs on behalf of one process.
pub struct Publisher {
    catalog: Catalog,
    broker: Arc<dyn Broker>,
    /// Whether the broker is in this process.
    in_memory: bool,
    sync: SyncConfig,
    jobs: JobMaker,
    metrics: PublishMetrics,
    /// The name of this process in a lease.
    holder: String,
}

/// The result of publishing a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// No job of it is left to publish, or the publisher was told to stop.
    All,
    /// Another process publishes it, or it was cancelled.
    Elsewhere,
}

/// The result of publishing one job.
enum Attempted {
    Queued(QueuedJob),
    /// It can never be published as it is.
    Unfit(JobId, String),
}

impl Publisher {
    /// Publishes to `broker`, which is in memory or not, what `catalog` lists.
    pub fn new(
        catalog: Catalog,
        broker: Arc<dyn Broker>,
        in_memory: bool,
        jobs: JobMaker,
        sync: SyncConfig,
    ) -> Self {
        Self {
            catalog,
            broker,
            in_memory,
            sync,
            jobs,
            metrics: PublishMetrics::new(),
            holder: JobId::new().to_string(),
        }
    }

    /// Publishes every job of the run that was not published yet, as fast as the broker takes them, or until
    /// `stop` is cancelled. A page that was begun is ended, unless the broker is in trouble.
    ///
    /// # Errors
    /// [`RunError`]; publishing again continues where this stopped.
    pub async fn publish(
        &self,
        run_id: RunId,
        stop: &CancellationToken,
    ) -> Result<Published, RunError> {
        let mut after = None;
        let mut span = None;
        while self.lease(run_id).await? {
            let mut page = self.newly_asked(run_id, after.as_ref()).await?;
            if page.is_empty() {
                let catalog = &self.catalog;
                page = catalog
                    .listed_jobs(run_id, after.as_ref(), self.page())
                    .await?;
                let last = page.last().cloned();
                // Jobs whose messages were lost may meanwhile be listed again, at any turn.
                let nothing_left = last.is_none() && after.is_none();
                if nothing_left || stop.is_cancelled() {
                    self.catalog.release_run(run_id, &self.holder).await?;
                    return Ok(Published::All);
                }
                after = last;
            }
            let span = match &span {
                Some(span) => span,
                None => span.insert(self.span(run_id).await?),
            };
            let publishing = self.publish_page(run_id, page, stop);
            publishing.instrument(span.clone()).await?;
        }
        self.catalog.release_run(run_id, &self.holder).await?;
        Ok(Published::Elsewhere)
    }

    /// Returns jobs that clients have come to wait for since the place `after`, where the run is now.
    async fn newly_asked(
        &self,
        run_id: RunId,
        after: Option<&PendingJob>,
    ) -> Result<Vec<PendingJob>, RunError> {
        match after {
            Some(after) if !after.is_asked_for() => {
                Ok(self.catalog.asked_jobs(run_id, self.page()).await?)
            }
            _ => Ok(Vec::new()),
        }
    }

    async fn lease(&self, run_id: RunId) -> Result<bool, RunError> {
        Ok(self.catalog.lease_run(run_id, &self.holder, LEASE).await?)
    }

    /// A span within the run's trace, whichever process has listed it.
    async fn span(&self, run_id: RunId) -> Result<Span, RunError> {
        let span = info_span!(parent: None, "publish jobs", seedbed.run_id = %run_id);
        self.catalog.run_trace(run_id).await?.adopt(&span);
        Ok(span)
    }

    /// Publishes some jobs and records what was published, also when one of them cannot be, or the rest is given up.
    async fn publish_page(
        &self,
        run_id: RunId,
        page: Vec<PendingJob>,
        stop: &CancellationToken,
    ) -> Result<(), RunError> {
        let of_run = TraceContext::of(&Span::current());
        let mut starts = starts(&self.catalog, &self.sync, run_id, &page).await?;
        let mut publishing = stream::iter(page)
            .map(|job| {
                let start = starts.remove(&job.scope.store_id);
                let start = start.unwrap_or(Start::Full(FullReason::First));
                self.publish_job(job, start, &of_run)
            })
            .buffer_unordered(self.in_flight());
        let (mut queued, mut unpublished) = (Vec::new(), None);
        let publishing = async {
            while let Some(published) = publishing.next().await {
                match published {
                    Ok(Attempted::Queued(job)) => queued.push(job),
                    Ok(Attempted::Unfit(job_id, reason)) => {
                        error!(job = %job_id, "failed: {reason}");
                        let failed = self.catalog.fail_job(job_id, "publish", &reason);
                        if let Err(error) = failed.await {
                            unpublished = Some(error.into());
                        }
                    }
                    Err(error) => unpublished = Some(error),
                }
            }
        };
        // Either is always polled or dropped: a renewal that nobody polls would keep the catalog's lock.
        tokio::select! {
            biased;
            () = publishing => {}
            () = self.must_give_up(run_id, stop) => {}
        }
        self.metrics.published.add(queued.len() as u64, &[]);
        self.catalog.mark_queued(&queued).await?;
        unpublished.map_or(Ok(()), Err)
    }

    /// Renews the lease, since the broker may be away for longer than it lasts. Completes when the page must not be
    /// published further: the lease is gone, as when the run was cancelled, or the process stops.
    ///
    /// In memory, a page may wait forever for a worker that has stopped as well, and what was published of it is gone with
    /// this process. On a broker, what was begun is ended if it can be: it would be published again.
    async fn must_give_up(&self, run_id: RunId, stop: &CancellationToken) {
        let lease_is_gone = async {
            let pause = LEASE / 3;
            let mut ticks = tokio::time::interval_at(Instant::now() + pause, pause);
            loop {
                ticks.tick().await;
                match self.lease(run_id).await {
                    Ok(true) => {}
                    Ok(false) => return,
                    Err(error) => warn!(run = %run_id, "cannot renew the lease: {error}"),
                }
            }
        };
        let stopped = async {
            if self.in_memory {
                stop.cancelled().await;
            } else {
                in_vain(self.broker.as_ref(), stop).await;
            }
        };
        tokio::select! {
            () = lease_is_gone => {}
            () = stopped => {}
        }
    }

    fn page(&self) -> i64 {
        if self.in_memory {
            PUBLISH_PAGE_IN_MEMORY
        } else {
            PUBLISH_PAGE
        }
    }

    /// In memory, a job's deadline would run while it waits for room.
    fn in_flight(&self) -> usize {
        if self.in_memory { 1 } else { IN_FLIGHT }
    }

    async fn publish_job(
        &self,
        job: PendingJob,
        start: Start,
        of_run: &TraceContext,
    ) -> Result<Attempted, RunError> {
        let subject = Subject {
            run_id: job.run_id,
            job_id: job.job_id,
            store_id: job.scope.store_id.clone(),
            attempt: job.attempt,
        };
        // A trace of its own, linked to the run's: a run of 100,000 jobs in one trace would be too large to read.
        let span = publish_span(self.broker.as_ref(), Queue::Jobs, &subject, None);
        of_run.link(&span);
        match self.message(&job, start, TraceContext::of(&span)) {
            Ok((message, deadline)) => {
                let trace_id = trace_id(&span);
                publish_in(span, self.broker.as_ref(), Queue::Jobs, message).await?;
                Ok(Attempted::Queued(QueuedJob {
                    job_id: job.job_id,
                    trace_id,
                    deadline,
                }))
            }
            Err(error) => {
                fail(&span, "publish", &error);
                Ok(Attempted::Unfit(job.job_id, error.to_string()))
            }
        }
    }

    /// The message for `job` and its deadline.
    fn message(
        &self,
        job: &PendingJob,
        start: Start,
        trace: TraceContext,
    ) -> Result<(Message, DateTime<Utc>), RunError> {
        let store_id = || job.scope.store_id.to_string();
        let made = self
            .jobs
            .make(job.run_id, job.job_id, job.scope.clone(), start);
        let mut made = made.map_err(|misfit| RunError::Template {
            setting: misfit.setting,
            store_id: store_id(),
            position: job.position.unsigned_abs(),
            origin: "the list of stores".to_owned(),
            source: misfit.source,
        })?;
        made.attempt = job.attempt;
        let mut message = Message::job(&made, trace).map_err(|source| RunError::Job {
            store_id: store_id(),
            source,
        })?;
        message.headers.urgent = job.is_asked_for();
        Ok((message, made.deadline))
    }
}
