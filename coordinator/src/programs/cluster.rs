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
use tracing::warn;

use super::publishing::{job_maker, publisher, quarantine, supervisor};
use crate::{
    catalog::{Catalog, CatalogError, FailedJobs, Listed, Retried, Sweep},
    runs::{
        Cancelled, DeadLetters, Fleet, Published, Publisher, RecordError, Recorder, RunError, Runs,
        StoreFilter, StoreList, Supervisor, if_broker_answers,
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
        let supervisor = supervisor(settings, &catalog, broker.clone(), publisher.clone());
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
        let recorded = self.catch_up().await;
        recorded.map_err(ClusterError::NotStarted)?;
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

    /// Retries failed jobs in new runs, whatever the broker's state.
    ///
    /// # Errors
    /// [`ClusterError::NotStarted`].
    pub async fn retry(&self, which: FailedJobs<'_>) -> Result<Retried, ClusterError> {
        self.catch_up_if_possible().await?;
        // What was parked while nobody recorded is retried as well.
        let settled = async { self.dead_letters().settle_now().await };
        self.if_broker_answers("parked jobs are settled", settled)
            .await?;
        let retried = self.runs.retry(which).await;
        retried.map_err(ClusterError::NotStarted)
    }

    /// Publishes the jobs of a retry. Ends early, but not within a page, when `stop` is cancelled, and leaves them to whoever
    /// supervises runs while there is trouble with the broker.
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
            if self.broker.trouble().is_none() {
                self.publish(run_id, stop).await?;
            }
        }
        Ok(awaited)
    }

    /// Cancels every job of `run_id` that no worker has started.
    ///
    /// # Errors
    /// [`ClusterError::NotStarted`]; calling again continues where this stopped.
    pub async fn cancel(&self, run_id: RunId) -> Result<Cancelled, ClusterError> {
        self.catch_up_if_possible().await?;
        let cancelled = self.runs.cancel(run_id).await;
        cancelled.map_err(ClusterError::NotStarted)
    }

    /// Records what workers have reported: what follows works with what has happened so far.
    async fn catch_up(&self) -> Result<(), RunError> {
        Ok(self.recorder().catch_up().await?)
    }

    /// The same, as far as the broker lets it: for what changes the catalog first.
    async fn catch_up_if_possible(&self) -> Result<(), ClusterError> {
        self.if_broker_answers("what workers reported is recorded", self.catch_up())
            .await
    }

    /// Does `work` with the broker's messages before anything is started; says that it is done later if there is trouble.
    async fn if_broker_answers(
        &self,
        what: &str,
        work: impl Future<Output = Result<(), RunError>>,
    ) -> Result<(), ClusterError> {
        let left = if_broker_answers(self.broker.as_ref(), work).await;
        if let Some(reason) = left.map_err(ClusterError::NotStarted)? {
            warn!("{what} later: {reason}");
        }
        Ok(())
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
