//! One command on a cluster: starts, retries or cancels runs, and follows them to their end.
//!
//! The jobs are in the catalog before the first is published, and they continue without this process: the next command,
//! or a server, publishes what is left and records what the workers report. A store that is in flight, in whichever run,
//! is not seeded again; this run waits for the other one.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future;
use seedbed_protocol::{RunId, broker::Broker, settings::SettingsError};
use seedbed_worker::settings::WorkerConfig;
use tokio::{
    sync::{Notify, watch},
    task::JoinError,
};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::publishing::{job_maker, publisher, supervisor};
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
    /// The run did not start, or could not be published, retried or cancelled.
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
            Self::Catalog(error) => error.is_usage(),
            Self::Run(error) => error.is_usage(),
            Self::Record(error) => error.is_usage(),
            Self::Ended(_) => false,
        }
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
        /// Whether no job has failed since this command began.
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
        Ok(Self {
            runs: Runs::new(jobs, catalog.clone(), broker.clone(), listed),
            follower: Follower::new(catalog.clone(), observer).watching(broker.clone()),
            worker: settings.worker.clone(),
            catalog,
            broker,
            publisher,
            supervisor,
        })
    }

    /// Records what workers have reported so far, lists a run over `stores` and publishes its jobs, together with what
    /// earlier runs left unpublished.
    ///
    /// # Errors
    /// [`ClusterError`]. What was listed is not lost: the next command publishes it.
    pub async fn start(
        &self,
        stores: &StoreList,
        filter: &StoreFilter,
        sweep: Sweep,
    ) -> Result<(Listed, Awaited), ClusterError> {
        self.record_waiting_events().await?;
        let listed = self.runs.start(stores, filter, sweep).await?;
        let awaited = self.awaited(listed.runs()).await?;
        if let Some(run_id) = listed.run_id {
            self.publish(run_id).await?;
        }
        self.supervisor.run_once(&CancellationToken::new()).await?;
        Ok((listed, awaited))
    }

    /// Retries the failed jobs of `run_id`, or of every run.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn retry(&self, run_id: Option<RunId>) -> Result<(Retried, Awaited), ClusterError> {
        self.record_events_if_possible().await?;
        self.settle_parked_if_possible().await?;
        let retried = self.runs.retry(run_id, &[]).await?;
        let awaited = self.awaited(retried.runs.iter().copied().collect()).await?;
        for &run_id in &retried.runs {
            // Otherwise the supervisor of this command, or another process, publishes it later.
            if self.broker.trouble().is_none() {
                self.publish(run_id).await?;
            }
        }
        Ok((retried, awaited))
    }

    /// Cancels every job of `run_id` that no worker has started.
    ///
    /// # Errors
    /// As [`Self::start`]; calling again continues where this stopped.
    pub async fn cancel(&self, run_id: RunId) -> Result<Cancelled, ClusterError> {
        self.record_events_if_possible().await?;
        Ok(self.runs.cancel(run_id).await?)
    }

    /// What follows works with what has happened so far.
    async fn record_waiting_events(&self) -> Result<(), RecordError> {
        self.recorder().catch_up().await
    }

    /// The same, as far as the broker lets it: for what changes the catalog first.
    async fn record_events_if_possible(&self) -> Result<(), RecordError> {
        if self.broker.trouble().is_some() {
            return Ok(());
        }
        match self.record_waiting_events().await {
            Err(error @ RecordError::Broker(_)) => {
                warn!("what workers reported is recorded later: {error}");
                Ok(())
            }
            recorded => recorded,
        }
    }

    /// Settles what was parked while nobody recorded, as far as the broker lets it: it is retried as well.
    async fn settle_parked_if_possible(&self) -> Result<(), RunError> {
        if self.broker.trouble().is_some() {
            return Ok(());
        }
        match self.dead_letters().settle_now().await {
            Err(error @ RunError::Broker(_)) => {
                warn!("parked jobs are settled later: {error}");
                Ok(())
            }
            settled => settled,
        }
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
        let counts = self.follower.progress(&runs).await?.counts;
        Ok(Awaited {
            runs,
            unseeded_before: counts.failed + counts.dropped,
        })
    }

    /// Publishes a run to its end. If another process is publishing it, waits for that.
    async fn publish(&self, run_id: RunId) -> Result<(), ClusterError> {
        let never = CancellationToken::new();
        loop {
            let published = self.publisher.publish(run_id, &never).await?;
            let left = self.catalog.listed_jobs(run_id, None, 1).await?;
            if published == Published::All || left.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(LEASE_POLL).await;
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
        let started = Instant::now();
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
        let summary = self.follower.sum_up(runs, started).await?;
        let totals = summary.totals;
        let unseeded = totals.failed + totals.abandoned + totals.cancelled;
        Ok(FollowOutcome::Finished {
            all_well: unseeded <= awaited.unseeded_before,
        })
    }
}
