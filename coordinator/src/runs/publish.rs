//! Publishes the jobs of a run: page by page, many at a time, each page recorded before the next.
//!
//! Whoever publishes a run holds its lease, so that two coordinators never publish the same job, and a run
//! whose coordinator was killed is taken over when the lease has run out. Killed between the broker's word and
//! the record of it, at most one page is published again: its jobs may come to two workers, each of which
//! makes a whole snapshot, and the catalog counts one.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use futures::{StreamExt, future, stream};
use seedbed_protocol::{
    Attempt, JobId, RunId, StoreId,
    broker::{
        Broker, Message, Queue, Subject,
        spans::{publish_in, publish_span},
    },
    message::{BaseSnapshot, FullReason, Scope, SeedJob, Start},
    trace::{TraceContext, fail, trace_id},
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, error, info_span, warn};

use super::list::{RunError, Selection};
use crate::{
    catalog::{Catalog, PendingJob, QueuedJob},
    metrics::PublishMetrics,
    settings::root::Settings,
};

/// Jobs that are read from the catalog at a time.
const PAGE: i64 = 512;

/// The same in memory, where each waits for a worker: whoever wants the run to stop waits for the end of a page.
const PAGE_IN_MEMORY: i64 = 8;

/// Jobs whose confirmation is awaited at the same time: one round trip for all of them.
const IN_FLIGHT: usize = 256;

/// How long a run belongs to a publisher that is not heard of. It renews its lease for each page.
const LEASE: Duration = Duration::from_secs(15);

/// Publishes jobs on behalf of one process.
pub struct Publisher {
    catalog: Catalog,
    broker: Arc<dyn Broker>,
    settings: Settings,
    metrics: PublishMetrics,
    /// What this process is called in a lease.
    holder: String,
}

/// What came of publishing a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// No job of it is left to publish, or the publisher was told to stop.
    All,
    /// Somebody else publishes it, or has cancelled it.
    Elsewhere,
}

/// What came of one job.
enum Attempted {
    Queued(QueuedJob),
    /// It can never be published as it is.
    Unfit(JobId, String),
}

impl Publisher {
    /// Publishes to `broker` what `catalog` lists.
    pub fn new(catalog: Catalog, broker: Arc<dyn Broker>, settings: Settings) -> Self {
        Self {
            catalog,
            broker,
            settings,
            metrics: PublishMetrics::new(),
            holder: JobId::new().to_string(),
        }
    }

    /// Publishes every job of the run that was not published yet, as fast as the broker takes them, or until
    /// `stop` is cancelled. A page that was begun is ended.
    ///
    /// # Errors
    /// [`RunError`]; publishing again goes on where this stopped.
    pub async fn publish(
        &self,
        run_id: RunId,
        stop: &CancellationToken,
    ) -> Result<Published, RunError> {
        let mut after = None;
        let mut span = None;
        while self.lease(run_id).await? {
            let page = self.catalog.listed_jobs(run_id, after, self.page()).await?;
            let last = page.last().map(|last| (last.position, last.job_id));
            // What came in while this went on, by a retry, may be at any place.
            let nothing_left = last.is_none() && after.is_none();
            if nothing_left || stop.is_cancelled() {
                self.catalog.release_run(run_id, &self.holder).await?;
                return Ok(Published::All);
            }
            after = last;
            let span = match &span {
                Some(span) => span,
                None => span.insert(self.span(run_id).await?),
            };
            let publishing = self.publish_page(run_id, page).instrument(span.clone());
            tokio::select! {
                published = publishing => published?,
                () = self.must_stop(stop) => return Ok(Published::All),
            }
        }
        self.catalog.release_run(run_id, &self.holder).await?;
        Ok(Published::Elsewhere)
    }

    async fn lease(&self, run_id: RunId) -> Result<bool, RunError> {
        Ok(self.catalog.lease_run(run_id, &self.holder, LEASE).await?)
    }

    /// Within the run's trace, whichever process has listed it.
    async fn span(&self, run_id: RunId) -> Result<Span, RunError> {
        let span = info_span!(parent: None, "publish jobs", seedbed.run_id = %run_id);
        self.catalog.run_trace(run_id).await?.adopt(&span);
        Ok(span)
    }

    /// Publishes some jobs and records what was published, also when one of them cannot be.
    async fn publish_page(&self, run_id: RunId, page: Vec<PendingJob>) -> Result<(), RunError> {
        let of_run = TraceContext::of(&Span::current());
        let mut starts = self.starts(run_id, &page).await?;
        let publishing = stream::iter(page)
            .map(|job| {
                let start = starts.remove(&job.scope.store_id);
                let start = start.unwrap_or(Start::Full(FullReason::First));
                self.publish_job(job, start, &of_run)
            })
            .buffer_unordered(self.in_flight())
            .collect::<Vec<_>>();
        let (mut queued, mut unpublished) = (Vec::new(), None);
        for result in self.while_leased(run_id, publishing).await {
            match result {
                Ok(Attempted::Queued(job)) => queued.push(job),
                Ok(Attempted::Unfit(job_id, reason)) => {
                    error!(job = %job_id, "failed: {reason}");
                    self.catalog.fail_job(job_id, "publish", &reason).await?;
                }
                Err(error) => unpublished = Some(error),
            }
        }
        self.metrics.published.add(queued.len() as u64, &[]);
        self.catalog.mark_queued(&queued).await?;
        unpublished.map_or(Ok(()), Err)
    }

    /// What the jobs of these stores start from. A store without an entry has no live snapshot.
    async fn starts(
        &self,
        run_id: RunId,
        page: &[PendingJob],
    ) -> Result<HashMap<StoreId, Start>, RunError> {
        let sync = &self.settings.sync;
        let because = if !sync.reuse {
            Some(FullReason::Off)
        } else if self.catalog.is_full_run(run_id).await? {
            Some(FullReason::Asked)
        } else {
            None
        };
        if let Some(because) = because {
            let stores = page.iter().map(|job| job.scope.store_id.clone());
            return Ok(stores.map(|store| (store, Start::Full(because))).collect());
        }
        let bases = self.catalog.bases(page).await?.into_iter();
        let start = |(store, base): (StoreId, BaseSnapshot)| {
            let start = match sync.full_every {
                Some(every) if is_due(&store, base.full_at, every) => Start::Full(FullReason::Due),
                _ => Start::Base(Box::new(base)),
            };
            (store, start)
        };
        Ok(bases.map(start).collect())
    }

    /// Renews the lease while `work` goes on: the broker may be away for longer than it lasts.
    async fn while_leased<T>(&self, run_id: RunId, work: impl Future<Output = T>) -> T {
        let renew = async {
            let mut ticks = tokio::time::interval(LEASE / 3);
            loop {
                ticks.tick().await;
                if let Err(error) = self.lease(run_id).await {
                    warn!(run = %run_id, "cannot renew the lease: {error}");
                }
            }
        };
        tokio::select! {
            done = work => done,
            never = renew => never,
        }
    }

    /// In memory, a page may wait forever for a worker that has stopped as well; and what was published of it is gone
    /// with this process. Elsewhere, what was published has to be recorded.
    async fn must_stop(&self, stop: &CancellationToken) {
        if self.settings.broker.is_memory() {
            stop.cancelled().await;
        } else {
            future::pending::<()>().await;
        }
    }

    fn page(&self) -> i64 {
        if self.settings.broker.is_memory() {
            PAGE_IN_MEMORY
        } else {
            PAGE
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
            attempt: Attempt::FIRST,
        };
        // A trace of its own, linked to the run's: a run of 100,000 jobs in one trace would be of use to nobody.
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

    /// The message for `job` and its deadline. Settings that have changed since the job was listed may no longer
    /// fit its store.
    fn message(
        &self,
        job: &PendingJob,
        start: Start,
        trace: TraceContext,
    ) -> Result<(Message, DateTime<Utc>), RunError> {
        let store_id = || job.scope.store_id.to_string();
        let selection =
            Selection::of(&job.scope, &self.settings).map_err(|(setting, source)| {
                RunError::Template {
                    setting,
                    store_id: store_id(),
                    position: job.position.unsigned_abs(),
                    origin: "the list of stores".to_owned(),
                    source,
                }
            })?;
        let scope = job.scope.clone();
        let mut job = seed_job(&self.settings, job.run_id, job.job_id, scope, selection);
        job.start = start;
        let message = Message::job(&job, trace).map_err(|source| RunError::Job {
            store_id: store_id(),
            source,
        })?;
        Ok((message, job.deadline))
    }
}

/// Whether the store's rows were all downloaded at `full_at`, and not for so long that it is time again. Stores that were
/// seeded in one night are spread: each has its own moment in the last quarter of `every`.
fn is_due(store: &StoreId, full_at: DateTime<Utc>, every: Duration) -> bool {
    let mut hasher = DefaultHasher::new();
    store.as_str().hash(&mut hasher);
    let share = 0.75 + 0.25 * (hasher.finish() as f64 / u64::MAX as f64);
    let age = (Utc::now() - full_at).to_std().unwrap_or_default();
    age >= every.mul_f64(share)
}

/// The message for a job that is to start now, from nothing.
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
        start: Start::Full(FullReason::Off),
    }
}
