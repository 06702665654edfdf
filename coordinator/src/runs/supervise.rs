//! Supervises all runs of a catalog, so that none gets stuck when a process is killed or a queue is deleted: publishes what a
//! killed coordinator left unpublished and what the broker has lost, fails jobs whose deadline has passed, removes messages
//! of cancelled ones, and ends runs that have no job left.
//!
//! Every long-lived coordinator does this. Several may at once, because each step is one change in the catalog that
//! only one of them makes.

mod lost;

use std::{collections::HashSet, sync::Arc, time::Duration};

use chrono::TimeDelta;
use futures::future;
use seedbed_protocol::{
    RunId,
    broker::{Broker, Queue},
};
use tokio::{
    sync::Notify,
    task::{JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use self::lost::Lost;
pub use self::lost::LostAfter;
use super::{control::remove_cancelled, error::RunError, publish::Publisher};
use crate::catalog::Catalog;

/// Between two rounds.
const SUPERVISION_PAUSE: Duration = Duration::from_secs(5);

/// Runs that are published at the same time. All wait for the same broker: more would only need more memory.
const RUNS_AT_A_TIME: usize = 4;

/// How long after its deadline a job fails: its last event may still be on the way, and clocks differ.
const GRACE: TimeDelta = TimeDelta::minutes(2);

/// Supervises all runs of a catalog.
#[derive(Clone)]
pub struct Supervisor {
    catalog: Catalog,
    broker: Arc<dyn Broker>,
    publisher: Arc<Publisher>,
    /// How long a job is worth working on.
    job_deadline: Duration,
    /// Looks for jobs whose messages are gone; not in memory, where none is lost.
    lost: Option<Arc<Lost>>,
    /// Notified when there is something to publish.
    listed: Arc<Notify>,
}

impl Supervisor {
    /// Supervises the runs of `catalog`. Jobs whose messages are gone are published again after `lost_after`.
    pub fn new(
        catalog: Catalog,
        broker: Arc<dyn Broker>,
        publisher: Arc<Publisher>,
        job_deadline: Duration,
        lost_after: Option<LostAfter>,
    ) -> Self {
        let lost = lost_after.map(|after| Lost::new(catalog.clone(), broker.clone(), after));
        Self {
            lost: lost.map(Arc::new),
            catalog,
            broker,
            publisher,
            job_deadline,
            listed: Arc::default(),
        }
    }

    /// Returns what to notify to have a listed run published at once.
    pub fn listed(&self) -> Arc<Notify> {
        self.listed.clone()
    }

    /// Runs one round. Ends early when `stop` is cancelled. What fails for a transient reason is left to the next round.
    ///
    /// # Errors
    /// [`RunError`] when the catalog or the broker fails for good.
    pub async fn run_once(&self, stop: &CancellationToken) -> Result<(), RunError> {
        later_if_transient(self.publish(stop).await)?;
        later_if_transient(self.settle().await)
    }

    /// Runs round after round, until `stop` is cancelled.
    ///
    /// # Errors
    /// As [`Self::run_once`].
    pub async fn run(self, stop: CancellationToken) -> Result<(), RunError> {
        // Publishing takes as long as the broker needs; meanwhile other runs end.
        let publishing = self.keep_publishing(&stop);
        let settling = async {
            while self.is_time(&stop, future::pending()).await {
                tokio::select! {
                    settled = self.settle() => later_if_transient(settled)?,
                    // Each step is one change.
                    () = stop.cancelled() => break,
                }
            }
            Ok(())
        };
        future::try_join(publishing, settling).await.map(drop)
    }

    /// Waits for the next round, or until there is `something` to do. False when `stop` is cancelled.
    async fn is_time(&self, stop: &CancellationToken, something: impl Future<Output = ()>) -> bool {
        tokio::select! {
            () = stop.cancelled() => false,
            () = tokio::time::sleep(SUPERVISION_PAUSE) => true,
            () = something => true,
        }
    }

    /// Publishes whatever is listed, until `stop` is cancelled: several runs at a time, since a client may wait for a
    /// store of a short one while a long one takes as long as the broker needs. Each is a task of its own: one that nobody
    /// polls would keep the catalog's lock.
    async fn keep_publishing(&self, stop: &CancellationToken) -> Result<(), RunError> {
        let mut publishing: JoinSet<(RunId, Result<(), RunError>)> = JoinSet::new();
        let mut runs = HashSet::new();
        loop {
            tokio::select! {
                Some(ended) = publishing.join_next() => {
                    let (run_id, published) = joined(ended);
                    runs.remove(&run_id);
                    let is_over = published.is_ok();
                    later_if_transient(published)?;
                    if !is_over {
                        continue;
                    }
                }
                due = self.is_time(stop, self.listed.notified()) => if !due { break },
            }
            let unpublished = self.catalog.unpublished_runs().await;
            let unpublished = match unpublished.map_err(RunError::from) {
                Err(error) if error.is_transient() => {
                    warn!("runs are published later: {error}");
                    continue;
                }
                unpublished => unpublished?,
            };
            for run_id in unpublished {
                if runs.len() < RUNS_AT_A_TIME && runs.insert(run_id) {
                    let (publisher, stop) = (self.publisher.clone(), stop.clone());
                    publishing.spawn(async move {
                        let published = publisher.publish(run_id, &stop).await;
                        (run_id, published.map(drop))
                    });
                }
            }
        }
        // What was begun is ended by the publisher.
        while let Some(ended) = publishing.join_next().await {
            later_if_transient(joined(ended).1)?;
        }
        Ok(())
    }

    /// Publishes what is listed and what no process is publishing.
    async fn publish(&self, stop: &CancellationToken) -> Result<(), RunError> {
        for run_id in self.catalog.unpublished_runs().await? {
            self.publisher.publish(run_id, stop).await?;
        }
        Ok(())
    }

    /// Fails jobs whose deadline has passed, has lost ones published again, and ends runs that have no job left.
    async fn settle(&self) -> Result<(), RunError> {
        // Only the last needs no broker.
        let compared = match self.broker.trouble() {
            None => self.compare_with_queues().await,
            Some(_) => Ok(()),
        };
        self.catalog.finish_runs().await?;
        compared
    }

    async fn compare_with_queues(&self) -> Result<(), RunError> {
        for run_id in self.catalog.runs_with_messages().await? {
            remove_cancelled(&self.catalog, self.broker.as_ref(), run_id).await?;
        }
        // An event that waits may say that a job has long ended.
        if self.broker.waiting(Queue::Events).await? > 0 {
            return Ok(());
        }
        let expired = self.catalog.expire_jobs(self.job_deadline, GRACE).await?;
        if expired > 0 {
            warn!(jobs = expired, "failed jobs whose deadline has passed");
        }
        match &self.lost {
            Some(lost) => lost.look().await,
            None => Ok(()),
        }
    }
}

/// Returns what a task came to. None is aborted, and a panic goes on here.
fn joined<T>(ended: Result<T, JoinError>) -> T {
    match ended {
        Ok(ended) => ended,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Leaves what failed for a transient reason to the next round.
fn later_if_transient(done: Result<(), RunError>) -> Result<(), RunError> {
    match done {
        Err(error) if error.is_transient() => {
            warn!("runs are supervised later: {error}");
            Ok(())
        }
        done => done,
    }
}
