//! The process of `seedbed local`: opens its parts, seeds one run, or keeps seeding and serves.

use std::{
    convert::Infallible,
    fs::File,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future;
use seedbed_protocol::{RunId, broker::MemoryBroker, snapshots::SnapshotRepository};
use seedbed_worker::Worker;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::{background::Background, error::LocalError, lock::lock};
use crate::{
    catalog::{Catalog, Sweep, Totals},
    programs::{
        publishing::{job_maker, publisher, quarantine},
        serve::{Service, ServiceParts},
    },
    runs::{
        Publisher, Recorder, Runs, StoreFilter, StoreList, Untaken,
        progress::{Counts, Follower, Observer, Progress, ReadProgress, Summary},
    },
    settings::Settings,
};

/// Jobs that are abandoned in one transaction.
const ABANDON_PAGE: i64 = 256;

/// How seeding ended.
#[derive(Debug)]
pub enum LocalOutcome {
    /// Every job of the last run ended.
    Finished(Summary),
    /// No store needed a job.
    NothingToDo,
    /// Every store of the list is quarantined, and not to be probed yet.
    AllQuarantined,
    /// It was told to stop.
    Interrupted,
}

/// A run that has jobs.
struct LocalRun {
    id: RunId,
    jobs: u64,
}

/// The parts of this process.
pub struct Local {
    settings: Settings,
    catalog: Catalog,
    snapshots: SnapshotRepository,
    broker: Arc<MemoryBroker>,
    worker: Worker,
    publisher: Publisher,
    runs: Runs,
    counts: watch::Sender<Counts>,
    observer: Arc<dyn Observer>,
    follower: Follower,
    _lock: File,
}

impl Local {
    /// Opens everything that `settings` name, for this process alone, and cleans up after a killed one.
    ///
    /// # Errors
    /// [`LocalError`] names what cannot be opened.
    pub async fn open(settings: Settings, observer: Arc<dyn Observer>) -> Result<Self, LocalError> {
        let lock = lock(settings.catalog.url.expose())?;
        let catalog = Catalog::open(settings.catalog.url.expose()).await?;
        let snapshots = SnapshotRepository::open(&settings.snapshots)?;
        // A job's deadline counts from its publication: no more are published than will soon be taken.
        let broker = Arc::new(MemoryBroker::new(settings.worker.slots().into()));
        let worker = Worker::new(
            &settings.worker_settings(),
            snapshots.clone(),
            broker.clone(),
        )?;
        let jobs = job_maker(&settings)?;
        let publisher = publisher(&settings, &jobs, &catalog, broker.clone());
        // This process publishes what it lists itself.
        let listed = Arc::new(Notify::new());
        let quarantine = quarantine(&settings.sync);
        let runs = Runs::new(jobs, catalog.clone(), broker.clone(), listed, quarantine);
        let local = Self {
            follower: Follower::new(catalog.clone(), observer.clone()),
            settings,
            catalog,
            snapshots,
            broker,
            worker,
            publisher,
            runs,
            counts: watch::Sender::default(),
            observer,
            _lock: lock,
        };
        local.abandon_jobs_in_flight().await?;
        Ok(local)
    }

    /// Returns the catalog of this process.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Seeds every store of `stores` once, or until `stop` is cancelled. However it ends, no job is in flight
    /// afterwards.
    ///
    /// # Errors
    /// [`LocalError`] when the run cannot start, or a part of the process fails.
    pub async fn seed(
        self,
        stores: &StoreList,
        sweep: Sweep,
        stop: CancellationToken,
    ) -> Result<LocalOutcome, LocalError> {
        let recorder = Recorder::new(
            self.catalog.clone(),
            self.broker.clone(),
            self.counts.clone(),
        );
        let background = self.background(|stop| async move { Ok(recorder.run(stop).await?) });
        let seeding = async {
            let all = StoreFilter::default();
            let listing = self.runs.start(stores, &all, sweep).await;
            let listed = listing.map_err(LocalError::NotStarted)?;
            match listed.run_id {
                Some(id) => {
                    let jobs = listed.jobs;
                    Ok(LocalOutcome::Finished(
                        self.finish(&LocalRun { id, jobs }).await?,
                    ))
                }
                None if listed.nothing_but_quarantined => Ok(LocalOutcome::AllQuarantined),
                None => Ok(LocalOutcome::NothingToDo),
            }
        };
        self.with_background(background, seeding, stop).await
    }

    /// Listens for requests about this process's stores. [`Self::serve`] answers them.
    ///
    /// # Errors
    /// [`LocalError::Serve`].
    pub async fn listen(&self, stores: Arc<StoreList>) -> Result<Service, LocalError> {
        let parts = ServiceParts {
            catalog: self.catalog.clone(),
            broker: self.broker.clone(),
            snapshots: self.snapshots.clone(),
            stores,
        };
        Ok(Service::open(&self.settings, parts).await?)
    }

    /// Answers requests, and seeds every store of `stores`: once, or every `every`. Until `stop` is cancelled. However it
    /// ends, no job is in flight afterwards.
    ///
    /// # Errors
    /// [`LocalError`] when a part of the process fails. A list of stores that cannot be used is logged, and the
    /// next run is tried.
    pub async fn serve(
        self,
        service: Service,
        stores: &StoreList,
        sweep: Sweep,
        every: Option<Duration>,
        stop: CancellationToken,
    ) -> Result<(), LocalError> {
        let runs = service.runs();
        let background = self.background(|stop| async move { Ok(service.run(stop).await?) });
        let sweeping = async {
            let never = self.keep_sweeping(&runs, stores, sweep, every).await?;
            match never {}
        };
        let ended = self.with_background(background, sweeping, stop).await;
        ended.map(drop)
    }

    /// Starts this process's worker, and `record`.
    fn background<F>(&self, record: impl FnOnce(CancellationToken) -> F) -> Background
    where
        F: Future<Output = Result<(), LocalError>> + Send + 'static,
    {
        Background::start(self.worker.clone(), self.broker.clone(), record)
    }

    /// Does `work` while the background tasks run, and stops them at its end.
    async fn with_background(
        &self,
        mut background: Background,
        work: impl Future<Output = Result<LocalOutcome, LocalError>>,
        stop: CancellationToken,
    ) -> Result<LocalOutcome, LocalError> {
        let ended = tokio::select! {
            biased;
            ended = work => ended,
            failure = background.failure() => Err(failure),
            () = stop.cancelled() => Ok(LocalOutcome::Interrupted),
        };
        let stopped = background.stop().await;
        let abandoned = self.abandon_jobs_in_flight().await;
        self.catalog.close().await;
        // The first failure is the one to report.
        let outcome = ended?;
        stopped?;
        abandoned?;
        Ok(outcome)
    }

    async fn keep_sweeping(
        &self,
        runs: &Runs,
        stores: &StoreList,
        sweep: Sweep,
        every: Option<Duration>,
    ) -> Result<Infallible, LocalError> {
        loop {
            let started = Instant::now();
            match runs.start(stores, &StoreFilter::default(), sweep).await {
                Ok(listed) => {
                    if let Some(run_id) = listed.run_id {
                        self.follower.wait_for_end(&[run_id]).await?;
                        self.catalog.finish_runs().await?;
                        self.follower.sum_up(&[run_id]).await?;
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "this run did not start; the next one is tried in time");
                }
            }
            match every {
                Some(every) => tokio::time::sleep_until((started + every).into()).await,
                None => future::pending().await,
            }
        }
    }

    /// Seeds every store of a new run, and sums it up.
    async fn finish(&self, run: &LocalRun) -> Result<Summary, LocalError> {
        self.counts.send_replace(Counts {
            stores: run.jobs,
            ..Counts::default()
        });
        let runs = [run.id];
        let totals = watch::Sender::new(self.follower.totals(&runs).await?);
        tokio::select! {
            worked = self.work(run) => worked?,
            never = self.observer.watch(self.progress(&totals)) => match never {},
            // Events tell earlier that every job has ended, but none comes of a store that was forgotten meanwhile.
            ended = self.follower.keep_totals(&runs, &totals) => ended?,
        }
        self.catalog.finish_runs().await?;
        Ok(self.follower.sum_up(&[run.id]).await?)
    }

    /// Reads how far the run is that starts now.
    fn progress(&self, totals: &watch::Sender<Totals>) -> ReadProgress {
        let (counts, worker) = (self.counts.subscribe(), self.worker.progress());
        let (operations_before, bytes_before) = (worker.operations(), worker.bytes());
        let totals = totals.subscribe();
        Box::new(move || {
            let (counts, totals) = (*counts.borrow(), *totals.borrow());
            // What has arrived of jobs in flight: nearly always one operation a row.
            let arrived = worker.operations() - operations_before;
            let arrived = arrived.saturating_sub(counts.operations);
            Progress {
                counts,
                rows: totals.rows + arrived,
                rows_left: totals.rows_left.saturating_sub(arrived),
                bytes: worker.bytes() - bytes_before,
                untaken: Untaken::default(),
            }
        })
    }

    /// Publishes the jobs of `run` and waits until each has ended.
    async fn work(&self, run: &LocalRun) -> Result<(), LocalError> {
        let mut counts = self.counts.subscribe();
        self.publisher
            .publish(run.id, &CancellationToken::new())
            .await?;
        // The sender lives in `self`, so waiting cannot fail.
        let _ = counts.wait_for(Counts::done).await;
        Ok(())
    }

    /// Abandons jobs that no worker works on any more, and removes what was uploaded for them. Killed at any
    /// point, the next call continues where it stopped: a job is in flight until nothing of it is left.
    async fn abandon_jobs_in_flight(&self) -> Result<(), LocalError> {
        loop {
            let jobs = self.catalog.jobs_in_flight(ABANDON_PAGE).await?;
            if jobs.is_empty() {
                break;
            }
            for job in &jobs {
                self.snapshots
                    .delete_job(&job.scope.store_id, job.job_id)
                    .await?;
            }
            self.catalog.abandon_jobs(&jobs).await?;
            tracing::info!(jobs = jobs.len(), "abandoned jobs that were in flight");
        }
        Ok(self.catalog.finish_runs().await?)
    }
}
