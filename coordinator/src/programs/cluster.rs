//! `seedbed run`: one sweep over the stores, for the workers of a cluster.
//!
//! The jobs are in the catalog before the first is published, and they go on without this process: whoever
//! runs next, or serves, publishes what is left and records what the workers report. A store that is still in
//! flight, of whichever run, is not seeded again; this run waits for the other one.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use seedbed_protocol::{RunId, broker::Broker};
use tokio::{sync::watch, task::JoinError};
use tokio_util::sync::CancellationToken;

use crate::runs::{control::cancel as requeue, list as run};
use crate::{
    catalog::{Catalog, CatalogError, ListOptions, Listed, Retried},
    cli::progress::Reporter,
    runs::{
        control::cancel::{Cancelled, RequeueError},
        list::{RunError, StoreFilter},
        progress::follow::Follower,
        publish::{Published, Publisher},
        record::{Events, EventsError},
        supervise::Tender,
    },
    settings::root::Settings,
    source::record::StoreSource,
};

/// Between two looks whether somebody else has published a run.
const LOOK: Duration = Duration::from_millis(500);

/// Why a command on the cluster stopped.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The run did not start, or could not be published.
    #[error(transparent)]
    Run(#[from] RunError),
    /// What workers report can no longer be recorded.
    #[error(transparent)]
    Events(#[from] EventsError),
    /// Jobs could not be started over or dropped.
    #[error(transparent)]
    Requeue(#[from] RequeueError),
    /// Looking after runs ended without a reason.
    #[error("looking after runs ended unexpectedly: {0}")]
    Ended(#[from] JoinError),
}

fn tended(ended: Result<Result<(), RunError>, JoinError>) -> Result<(), ClusterError> {
    Ok(ended??)
}

/// Runs that somebody waits for.
#[derive(Debug)]
pub struct Awaited {
    /// They, the newest first.
    pub runs: Vec<RunId>,
    /// Jobs of theirs that had failed or been dropped before anything was published.
    unseeded_before: u64,
}

/// How following runs ended.
#[derive(Debug)]
pub enum Outcome {
    /// Every job ended.
    Finished {
        /// Whether none has failed meanwhile.
        all_well: bool,
    },
    /// It was told to stop watching. The jobs go on.
    Interrupted,
}

/// A coordinator on a cluster's catalog and broker.
pub struct Cluster {
    settings: Settings,
    catalog: Catalog,
    broker: Arc<dyn Broker>,
    publisher: Arc<Publisher>,
    tender: Tender,
    follower: Follower,
}

impl Cluster {
    /// A coordinator on these parts.
    pub fn new(
        settings: Settings,
        catalog: Catalog,
        broker: Arc<dyn Broker>,
        reporter: Reporter,
    ) -> Self {
        let publisher = Publisher::new(catalog.clone(), broker.clone(), settings.clone());
        let publisher = Arc::new(publisher);
        let tender = Tender::new(
            catalog.clone(),
            broker.clone(),
            publisher.clone(),
            settings.worker.job_deadline,
        );
        let follower = Follower::new(catalog.clone(), reporter);
        Self {
            settings,
            catalog,
            broker,
            publisher,
            tender,
            follower,
        }
    }

    /// Records what workers have reported so far, lists the stores of `source` as a new run and publishes its
    /// jobs, beside what earlier runs left unpublished.
    ///
    /// # Errors
    /// [`ClusterError`]. What was listed is not lost: the next run goes on with it.
    pub async fn start(
        &self,
        source: &StoreSource,
        filter: &StoreFilter,
        options: ListOptions,
    ) -> Result<(Listed, Awaited), ClusterError> {
        self.events().catch_up().await?;
        let listed = run::list(&self.catalog, &self.settings, source, filter, options).await?;
        let awaited = self.awaited(listed.runs()).await?;
        if let Some(run_id) = listed.run_id {
            self.publish(run_id).await?;
        }
        self.tender.tend(&CancellationToken::new()).await?;
        Ok((listed, awaited))
    }

    /// Starts the failed jobs of `run_id`, or of every run, over.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn retry(&self, run_id: Option<RunId>) -> Result<(Retried, Awaited), ClusterError> {
        self.events().catch_up().await?;
        let retried = requeue::retry(&self.catalog, self.broker.as_ref(), run_id, &[]).await?;
        let awaited = self.awaited(retried.runs.iter().copied().collect()).await?;
        for &run_id in &retried.runs {
            self.publish(run_id).await?;
        }
        Ok((retried, awaited))
    }

    async fn awaited(&self, runs: Vec<RunId>) -> Result<Awaited, ClusterError> {
        let counts = self.follower.standing(&runs).await?.counts;
        Ok(Awaited {
            runs,
            unseeded_before: counts.failed + counts.dropped,
        })
    }

    /// Drops every job of `run_id` that no worker has started.
    ///
    /// # Errors
    /// As [`Self::start`]; calling again goes on where this stopped.
    pub async fn cancel(&self, run_id: RunId) -> Result<Cancelled, ClusterError> {
        self.events().catch_up().await?;
        Ok(requeue::cancel(&self.catalog, self.broker.as_ref(), run_id).await?)
    }

    fn events(&self) -> Events {
        let (catalog, broker) = (self.catalog.clone(), self.broker.clone());
        Events::new(catalog, broker, watch::Sender::default())
    }

    /// Publishes a run to its end. Should somebody else be at it, waits for that.
    async fn publish(&self, run_id: RunId) -> Result<(), ClusterError> {
        let never = CancellationToken::new();
        loop {
            let published = self.publisher.publish(run_id, &never).await?;
            let left = self.catalog.listed_jobs(run_id, None, 1).await?;
            if published == Published::All || left.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Shows how far these runs are until each of their jobs has ended, records what workers report, and keeps
    /// all runs from getting stuck meanwhile. The sum is told under the name of the first.
    ///
    /// # Errors
    /// [`ClusterError`]; the jobs go on.
    pub async fn follow(
        &self,
        awaited: &Awaited,
        stop: CancellationToken,
    ) -> Result<Outcome, ClusterError> {
        let started = Instant::now();
        let runs = &awaited.runs;
        let events = self.events();
        let stop_tending = CancellationToken::new();
        // A task, so that a page that it publishes is recorded although this has come to its end.
        let mut tending = tokio::spawn(self.tender.clone().keep_tending(stop_tending.clone()));
        let ended = tokio::select! {
            ended = self.follower.wait_for_end(runs) => ended.map(|()| true).map_err(Into::into),
            failed = events.keep_running(CancellationToken::new()) => failed.map(|()| true).map_err(Into::into),
            failed = &mut tending => tended(failed).map(|()| true),
            () = stop.cancelled() => Ok(false),
        };
        stop_tending.cancel();
        if !tending.is_finished() {
            tended(tending.await)?;
        }
        if !ended? {
            return Ok(Outcome::Interrupted);
        }
        self.catalog.finish_runs().await?;
        self.follower.sum_up(runs, started).await?;
        let counts = self.follower.standing(runs).await?.counts;
        Ok(Outcome::Finished {
            all_well: counts.failed + counts.dropped <= awaited.unseeded_before,
        })
    }
}
