//! Everything in one process: the stores' jobs, a worker for them, and the catalog, on embedded parts.
//!
//! A directory of data has one such process at a time; a lock file sees to that. What a killed one left in
//! flight is abandoned by the next one before it starts, together with what was uploaded for it.

use std::{
    convert::Infallible,
    fs::{File, TryLockError},
    io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::{self, Either};
use seedbed_protocol::{
    RunId,
    broker::{Broker, BrokerError, MemoryBroker},
    snapshots::{SnapshotStore, SnapshotStoreError},
};
use seedbed_worker::{Shutdown, Worker};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::serve::{ServeError, Service};
use crate::runs::list as run;
use crate::{
    catalog::{self, Catalog, CatalogError, ListOptions},
    cli::progress::{Counts, Reporter, Standing, Summary},
    runs::{
        control::runs::Operator,
        list::{RunError, StoreFilter},
        progress::follow::Follower,
        publish::Publisher,
        record::{Events, EventsError},
    },
    settings::root::Settings,
    source::record::StoreSource,
};

/// Jobs that are abandoned in one transaction.
const PAGE: i64 = 256;

/// Why seeding in this process stopped.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// Another process works on the same data.
    #[error(
        "another `seedbed local` is working on the catalog {}; wait for it to end, or set catalog.url \
         to another file", path.display()
    )]
    Locked {
        /// The catalog.
        path: PathBuf,
    },
    /// The lock file cannot be used.
    #[error("cannot lock {}: {source}", path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The snapshot store failed.
    #[error(transparent)]
    Snapshots(#[from] SnapshotStoreError),
    /// The worker's settings are wrong, or what they name is missing.
    #[error(transparent)]
    Worker(#[from] seedbed_worker::error::ConfigError),
    /// The run did not start, or could not be published.
    #[error(transparent)]
    Run(#[from] RunError),
    /// What workers report can no longer be recorded.
    #[error(transparent)]
    Events(#[from] EventsError),
    /// The broker failed.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// Requests cannot be answered, or no longer.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// A part of this process ended without a reason.
    #[error("the {part} ended unexpectedly: {reason}")]
    Ended {
        /// Which part.
        part: &'static str,
        /// What is known of it.
        reason: String,
    },
}

/// How seeding ended.
#[derive(Debug)]
pub enum Outcome {
    /// Every job of the last run ended.
    Finished(Summary),
    /// No store needed a job.
    NothingToDo,
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
    snapshots: SnapshotStore,
    broker: Arc<MemoryBroker>,
    worker: Worker,
    publisher: Publisher,
    counts: watch::Sender<Counts>,
    reporter: Reporter,
    _lock: File,
}

impl Local {
    /// Opens everything that `settings` name, for this process alone, and cleans up after a killed one.
    ///
    /// # Errors
    /// [`LocalError`] names what cannot be opened.
    pub async fn open(settings: Settings, reporter: Reporter) -> Result<Self, LocalError> {
        let lock = lock(settings.catalog.url.expose())?;
        let catalog = Catalog::open(settings.catalog.url.expose()).await?;
        let snapshots = SnapshotStore::open(&settings.snapshots)?;
        // A job's deadline counts from its publication: no more are published than will soon be taken.
        let broker = Arc::new(MemoryBroker::new(settings.worker.slots().into()));
        let worker = Worker::new(
            &settings.worker_settings(),
            snapshots.clone(),
            broker.clone(),
        )?;
        let publisher = Publisher::new(catalog.clone(), broker.clone(), settings.clone());
        let local = Self {
            settings,
            catalog,
            snapshots,
            broker,
            worker,
            publisher,
            counts: watch::Sender::default(),
            reporter,
            _lock: lock,
        };
        local.abandon_what_is_in_flight().await?;
        Ok(local)
    }

    /// Seeds every store of `source` once, or until `stop` is cancelled. Whichever way it ends, no job is in flight
    /// afterwards.
    ///
    /// # Errors
    /// [`LocalError`] when the run cannot start, or a part of the process fails.
    pub async fn seed(
        self,
        source: &StoreSource,
        options: ListOptions,
        stop: CancellationToken,
    ) -> Result<Outcome, LocalError> {
        let events = Events::new(
            self.catalog.clone(),
            self.broker.clone(),
            self.counts.clone(),
        );
        let crew = Crew::start(&self, |stop| async move { Ok(events.run(stop).await?) });
        let seeding = async {
            let started = Instant::now();
            match self.list(source, options).await? {
                Some(run) => Ok(Outcome::Finished(self.finish(&run, started).await?)),
                None => Ok(Outcome::NothingToDo),
            }
        };
        self.while_working(crew, seeding, stop).await
    }

    /// Listens for requests about this process's stores. [`Self::serve`] answers them.
    ///
    /// # Errors
    /// [`LocalError::Serve`].
    pub async fn listen(
        &self,
        source: StoreSource,
        source_is_all: bool,
    ) -> Result<Service, LocalError> {
        let (catalog, broker) = (self.catalog.clone(), self.broker.clone());
        let snapshots = self.snapshots.clone();
        let service = Service::open(
            &self.settings,
            catalog,
            broker,
            snapshots,
            source,
            source_is_all,
        );
        Ok(service.await?)
    }

    /// Answers requests and seeds every store, again and again `every` so often if given, until `stop` is cancelled.
    /// Whichever way it ends, no job is in flight afterwards.
    ///
    /// # Errors
    /// [`LocalError`] when a part of the process fails. A list of stores that cannot be used is logged, and the
    /// next run is tried.
    pub async fn serve(
        self,
        service: Service,
        options: ListOptions,
        every: Option<Duration>,
        stop: CancellationToken,
    ) -> Result<(), LocalError> {
        let operator = service.operator();
        let crew = Crew::start(&self, |stop| async move { Ok(service.run(stop).await?) });
        let sweeping = async {
            let never = self.sweep(&operator, options, every).await?;
            match never {}
        };
        self.while_working(crew, sweeping, stop).await.map(drop)
    }

    /// Does `work` while the crew does its own.
    async fn while_working(
        &self,
        mut crew: Crew,
        work: impl Future<Output = Result<Outcome, LocalError>>,
        stop: CancellationToken,
    ) -> Result<Outcome, LocalError> {
        let ended = tokio::select! {
            biased;
            ended = work => ended,
            failure = crew.failure() => Err(failure),
            () = stop.cancelled() => Ok(Outcome::Interrupted),
        };
        let stopped = crew.stop().await;
        let abandoned = self.abandon_what_is_in_flight().await;
        self.catalog.close().await;
        // The first thing that went wrong is the one to tell.
        let outcome = ended?;
        stopped?;
        abandoned?;
        Ok(outcome)
    }

    async fn sweep(
        &self,
        operator: &Operator,
        options: ListOptions,
        every: Option<Duration>,
    ) -> Result<Infallible, LocalError> {
        let follower = Follower::new(self.catalog.clone(), self.reporter);
        loop {
            let started = Instant::now();
            match operator.start(&StoreFilter::default(), options).await {
                Ok(listed) => {
                    if let Some(run_id) = listed.run_id {
                        follower.wait_for_end(&[run_id]).await?;
                        self.catalog.finish_runs().await?;
                        follower.sum_up(&[run_id], started).await?;
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

    /// A new run, if the list of stores can be used and a store needs a job.
    async fn list(
        &self,
        source: &StoreSource,
        options: ListOptions,
    ) -> Result<Option<LocalRun>, RunError> {
        let all = StoreFilter::default();
        let listed = run::list(&self.catalog, &self.settings, source, &all, options).await?;
        Ok(listed.run_id.map(|id| LocalRun {
            id,
            jobs: listed.jobs,
        }))
    }

    /// Seeds every store of a new run, and sums it up.
    async fn finish(&self, run: &LocalRun, started: Instant) -> Result<Summary, LocalError> {
        self.counts.send_replace(Counts {
            stores: run.jobs,
            ..Counts::default()
        });
        let work = std::pin::pin!(self.work(run));
        let follow = self.reporter.follow(self.standing());
        match future::select(work, std::pin::pin!(follow)).await {
            Either::Left((worked, _)) => worked?,
            Either::Right((never, _)) => match never {},
        }
        self.catalog.finish_runs().await?;
        let summary = Summary {
            run_id: run.id,
            totals: self.catalog.totals(run.id).await?,
            elapsed: started.elapsed(),
            failures: self
                .catalog
                .failed_jobs(run.id, self.reporter.named_failures())
                .await?,
        };
        self.reporter.summary(&summary);
        Ok(summary)
    }

    /// Reads how far the run is that starts now.
    fn standing(&self) -> impl Fn() -> Standing + use<> {
        let (counts, worker) = (self.counts.subscribe(), self.worker.progress());
        let (rows_before, bytes_before) = (worker.operations(), worker.bytes());
        move || Standing {
            counts: *counts.borrow(),
            rows: worker.operations() - rows_before,
            bytes: worker.bytes() - bytes_before,
        }
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

    /// Ends jobs that nobody works on any more, and removes what was uploaded for them. Killed at any
    /// point, it goes on where it stopped: a job is in flight until nothing of it is left.
    async fn abandon_what_is_in_flight(&self) -> Result<(), LocalError> {
        loop {
            let jobs = self.catalog.jobs_in_flight(PAGE).await?;
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

/// Takes the lock that lasts as long as the file is open, whatever happens to the process.
fn lock(catalog_url: &str) -> Result<File, LocalError> {
    let catalog = catalog::file_of(catalog_url);
    let mut path = catalog.clone().into_os_string();
    path.push(".lock");
    let path = PathBuf::from(path);
    let failed = |source| LocalError::Lock {
        path: path.clone(),
        source,
    };
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(failed)?;
    }
    let file = File::options()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LocalError::Locked { path: catalog }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// The tasks that work in the background.
struct Crew {
    worker: Option<JoinHandle<Result<(), LocalError>>>,
    recorder: Option<JoinHandle<Result<(), LocalError>>>,
    stop_worker: CancellationToken,
    stop_recorder: CancellationToken,
    broker: Arc<MemoryBroker>,
}

impl Crew {
    /// Starts a worker, and `record`, which records what it reports until it is told to stop.
    fn start<F>(local: &Local, record: impl FnOnce(CancellationToken) -> F) -> Self
    where
        F: Future<Output = Result<(), LocalError>> + Send + 'static,
    {
        let (stop_worker, stop_recorder) = (CancellationToken::new(), CancellationToken::new());
        let worker = local.worker.clone();
        let stop = stop_worker.clone();
        let worker = tokio::spawn(async move { Ok(worker.run(Shutdown::at_once(stop)).await?) });
        Self {
            worker: Some(worker),
            recorder: Some(tokio::spawn(record(stop_recorder.clone()))),
            stop_worker,
            stop_recorder,
            broker: local.broker.clone(),
        }
    }

    /// Waits until a task ends that should not.
    async fn failure(&mut self) -> LocalError {
        let (part, ended) = tokio::select! {
            ended = join(&mut self.worker) => ("worker", ended),
            ended = join(&mut self.recorder) => ("recording of events", ended),
        };
        match ended {
            Err(error) => error,
            Ok(()) => LocalError::Ended {
                part,
                reason: "it was not told to".to_owned(),
            },
        }
    }

    /// Stops the worker, records what it still reported, and stops.
    async fn stop(mut self) -> Result<(), LocalError> {
        self.stop_worker.cancel();
        if self.recorder.is_none() {
            // Nobody takes events any more; a worker must not wait for room to report one.
            self.broker.close().await;
        }
        let worker = match self.worker {
            Some(_) => join(&mut self.worker).await,
            None => Ok(()),
        };
        self.stop_recorder.cancel();
        let recorder = match self.recorder {
            Some(_) => join(&mut self.recorder).await,
            None => Ok(()),
        };
        worker.and(recorder)
    }
}

/// The result of a task, once. A task whose result was taken never ends again.
async fn join(task: &mut Option<JoinHandle<Result<(), LocalError>>>) -> Result<(), LocalError> {
    let Some(handle) = task else {
        return future::pending().await;
    };
    let ended = handle.await;
    *task = None;
    ended.unwrap_or_else(|error| {
        Err(LocalError::Ended {
            part: "background task",
            reason: error.to_string(),
        })
    })
}
