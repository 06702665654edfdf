//! One command on a cluster: starts, retries or cancels runs, and follows them to their end.
//!
//! The jobs are in the catalog before the first is published, and they continue without this process: the next command,
//! or a server, publishes what is left and records what the workers report. A store that is in flight, in whichever run,
//! is not seeded again; this run waits for the other one.

use std::{convert::Infallible, sync::Arc, time::Duration};

use futures::future;
use seedbed_protocol::{RunId, broker::Broker, settings::SettingsError};
use seedbed_worker::settings::WorkerConfig;
use tokio::{
    sync::{Notify, watch},
    task::JoinError,
};
use tokio_util::sync::CancellationToken;

use super::publishing::{job_maker, publisher, quarantine};
use crate::{
    catalog::{Catalog, CatalogError, Listed, Retried, Sweep},
    runs::{
        Cancelled, DeadLetters, Fleet, Published, Publisher, RecordError, Recorder, RunError, Runs,
        StoreFilter, StoreList, Supervisor,
        progress::{Follower, Observer},
    },
    settings::Settings,
};

/// Between two questions whether another process has published a run.
const LEASE_POLL: Duration = Duration::from_millis(500);

/// Why a command on the cluster stopped.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The settings are wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// Nothing was started, retried or cancelled.
    #[error(transparent)]
    NotStarted(RunError),
    /// The run could not be published, and continues when it can be.
    #[error(transparent)]
    Run(#[from] RunError),
    /// What workers report can no longer be recorded.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The supervision of runs ended without a reason.
    #[error("the supervision of runs ended unexpectedly: {0}")]
    Ended(#[from] JoinError),
}

impl ClusterError {
    /// Returns whether a person has to change the list of stores, the settings or the command before it can succeed.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Settings(_) => true,
            Self::NotStarted(error) => error.is_usage(),
            Self::Catalog(_) | Self::Run(_) | Self::Record(_) | Self::Ended(_) => false,
        }
    }

    /// Returns whether nothing was started, and the same call may succeed later.
    pub fn may_start_later(&self) -> bool {
        matches!(self, Self::NotStarted(error) if error.is_transient())
    }
}

fn supervised(ended: Result<Result<(), RunError>, JoinError>) -> Result<(), ClusterError> {
    Ok(ended??)
}

/// Runs that a command waits for.
#[derive(Debug)]
pub struct Awaited {
    /// The runs, the newest first.
    pub runs: Vec<RunId>,
    /// Jobs that had already failed or been dropped before this command published anything.
    unseeded_before: u64,
}

/// How following runs ended.
#[derive(Debug)]
pub enum FollowOutcome {
    /// Every job ended.
    Finished {
        /// Whether no job has failed since this command began, but those of quarantined stores, and one succeeded.
        all_well: bool,
    },
    /// It was told to stop watching. The jobs continue.
    Interrupted,
}

/// One command's coordinator, on a cluster's catalog and broker.
pub struct Cluster {
    catalog: Catalog,
    broker: Arc<dyn Broker>,
    runs: Runs,
    publisher: Arc<Publisher>,
    supervisor: Supervisor,
    follower: Follower,
    worker: WorkerConfig,
}

impl Cluster {
    /// Returns a coordinator on these parts.
    ///
    /// # Errors
    /// [`ClusterError::Settings`].
    pub fn new(
        settings: &Settings,
        catalog: Catalog,
        broker: Arc<dyn Broker>,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, ClusterError> {
        let jobs = job_maker(settings)?;
        let publisher = publisher(settings, &jobs, &catalog, broker.clone());
        let publisher = Arc::new(publisher);
        let supervisor = Supervisor::new(
            catalog.clone(),
            broker.clone(),
            publisher.clone(),
            settings.worker.job_deadline,
        );
        // This command publishes what it lists itself.
        let listed = Arc::new(Notify::new());
        let quarantine = quarantine(&settings.sync);
        Ok(Self {
            runs: Runs::new(jobs, catalog.clone(), broker.clone(), listed, quarantine),
            follower: Follower::new(catalog.clone(), observer).watching(broker.clone()),
            worker: settings.worker.clone(),
            catalog,
            broker,
            publisher,
            supervisor,
        })
    }

    /// Records what workers have reported so far, and lists a run over `stores`.
    ///
    /// # Errors
    /// [`ClusterError::NotStarted`].
    pub async fn list(
        &self,
        stores: &StoreList,
        filter: &StoreFilter,
        sweep: Sweep,
    ) -> Result<Listed, ClusterError> {
        self.record_waiting_events().await?;
        let listing = self.runs.start(stores, filter, sweep).await;
        listing.map_err(ClusterError::NotStarted)
    }

    /// Publishes the jobs of the new one of these runs, if there is one, together with what earlier runs left unpublished.
    /// Ends early, but not within a page, when `stop` is cancelled.
    ///
    /// # Errors
    /// [`ClusterError`]. What was listed is not lost: the next command, or a server, publishes it.
    pub async fn publish_listed(
        &self,
        listed: &Listed,
        stop: &CancellationToken,
    ) -> Result<Awaited, ClusterError> {
        let awaited = self.awaited(listed.runs()).await?;
        if let Some(run_id) = listed.run_id {
            self.publish(run_id, stop).await?;
        }
        self.supervisor.run_once(stop).await?;
        Ok(awaited)
    }

    /// Retries the failed jobs of `run_id`, or of every run, in new runs.
    ///
    /// # Errors
    /// [`ClusterError::NotStarted`].
    pub async fn retry(&self, run_id: Option<RunId>) -> Result<Retried, ClusterError> {
        self.record_waiting_events().await?;
        // What was parked while nobody recorded is retried as well.
        let settled = self.dead_letters().settle_now().await;
        settled.map_err(ClusterError::NotStarted)?;
        let retried = self.runs.retry(run_id, &[]).await;
        retried.map_err(ClusterError::NotStarted)
    }

    /// Publishes the jobs of a retry. Ends early, but not within a page, when `stop` is cancelled.
    ///
    /// # Errors
    /// As [`Self::publish_listed`].
    pub async fn publish_retried(
        &self,
        retried: &Retried,
        stop: &CancellationToken,
    ) -> Result<Awaited, ClusterError> {
        let awaited = self.awaited(retried.runs.iter().copied().collect()).await?;
        for &run_id in &retried.runs {
            self.publish(run_id, stop).await?;
        }
        Ok(awaited)
    }

    /// Cancels every job of `run_id` that no worker has started.
    ///
    /// # Errors
    /// [`ClusterError::NotStarted`]; calling again continues where this stopped.
    pub async fn cancel(&self, run_id: RunId) -> Result<Cancelled, ClusterError> {
        self.record_waiting_events().await?;
        let cancelled = self.runs.cancel(run_id).await;
        cancelled.map_err(ClusterError::NotStarted)
    }

    /// What follows works with what has happened so far.
    async fn record_waiting_events(&self) -> Result<(), ClusterError> {
        let recorded = self.recorder().catch_up().await;
        recorded.map_err(|error| ClusterError::NotStarted(error.into()))
    }

    fn recorder(&self) -> Recorder {
        let (catalog, broker) = (self.catalog.clone(), self.broker.clone());
        Recorder::new(catalog, broker, watch::Sender::default())
    }

    fn dead_letters(&self) -> DeadLetters {
        DeadLetters::new(self.catalog.clone(), self.broker.clone(), &self.worker)
    }

    /// Settles parked jobs, and records which workers are there.
    async fn watch_queues(&self) -> Infallible {
        let never = CancellationToken::new();
        let fleet = Fleet::new(self.catalog.clone(), self.broker.clone());
        future::join(self.dead_letters().run(&never), fleet.run(&never)).await;
        future::pending().await
    }

    async fn awaited(&self, runs: Vec<RunId>) -> Result<Awaited, ClusterError> {
        let totals = self.follower.totals(&runs).await?;
        Ok(Awaited {
            runs,
            unseeded_before: totals.unseeded(),
        })
    }

    /// Publishes a run to its end. If another process is publishing it, waits for that.
    async fn publish(&self, run_id: RunId, stop: &CancellationToken) -> Result<(), ClusterError> {
        loop {
            let published = self.publisher.publish(run_id, stop).await?;
            let left = self.catalog.listed_jobs(run_id, None, 1).await?;
            if published == Published::All || left.is_empty() {
                return Ok(());
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(LEASE_POLL) => {}
            }
        }
    }

    /// Shows how far these runs are until each of their jobs has ended; meanwhile records what workers report, and
    /// supervises all runs. The summary is given under the id of the first.
    ///
    /// # Errors
    /// [`ClusterError`]; the jobs continue.
    pub async fn follow(
        &self,
        awaited: &Awaited,
        stop: CancellationToken,
    ) -> Result<FollowOutcome, ClusterError> {
        let runs = &awaited.runs;
        let recorder = self.recorder();
        let stop_supervising = CancellationToken::new();
        // A task, so that a page that it publishes is recorded although this has come to its end.
        let mut supervising = tokio::spawn(self.supervisor.clone().run(stop_supervising.clone()));
        let ended = tokio::select! {
            ended = self.follower.wait_for_end(runs) => ended.map(|()| true).map_err(Into::into),
            failed = recorder.keep_running(CancellationToken::new()) => failed.map(|()| true).map_err(Into::into),
            failed = &mut supervising => supervised(failed).map(|()| true),
            never = self.watch_queues() => match never {},
            () = stop.cancelled() => Ok(false),
        };
        stop_supervising.cancel();
        if !supervising.is_finished() {
            supervised(supervising.await)?;
        }
        if !ended? {
            return Ok(FollowOutcome::Interrupted);
        }
        self.catalog.finish_runs().await?;
        let summary = self.follower.sum_up(runs).await?;
        let totals = summary.totals;
        Ok(FollowOutcome::Finished {
            all_well: totals.unseeded() <= awaited.unseeded_before
                && (totals.seeded > 0 || totals.stores == 0),
        })
    }
}
