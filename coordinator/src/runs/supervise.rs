//! Keeps runs from getting stuck when a process is killed: publishes what a killed coordinator left unpublished,
//! gives up jobs that no worker can finish any more, and ends runs that have no job left.
//!
//! Every coordinator that stays around does this. It is safe that several do, because each step is one change in
//! the catalog that only one of them makes.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use futures::future;
use seedbed_protocol::broker::{Broker, Queue};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{list::RunError, publish::Publisher};
use crate::catalog::Catalog;

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(5);

/// How long after its deadline a job is given up: its last event may still be on the way, and clocks differ.
const GRACE: TimeDelta = TimeDelta::minutes(2);

/// Looks after all runs of a catalog.
#[derive(Clone)]
pub struct Tender {
    catalog: Catalog,
    broker: Arc<dyn Broker>,
    publisher: Arc<Publisher>,
    /// How long a job is worth working on.
    job_deadline: Duration,
    /// Tells that there is something to publish.
    listed: Arc<Notify>,
}

impl Tender {
    /// Looks after the runs of `catalog`.
    pub fn new(
        catalog: Catalog,
        broker: Arc<dyn Broker>,
        publisher: Arc<Publisher>,
        job_deadline: Duration,
    ) -> Self {
        Self {
            catalog,
            broker,
            publisher,
            job_deadline,
            listed: Arc::default(),
        }
    }

    /// Whoever has listed a run notifies this, to have it published at once.
    pub fn listed(&self) -> Arc<Notify> {
        self.listed.clone()
    }

    /// Looks once. Ends before it is done when `stop` is cancelled.
    ///
    /// # Errors
    /// [`RunError`] when the catalog or the broker fails.
    pub async fn tend(&self, stop: &CancellationToken) -> Result<(), RunError> {
        self.publish(stop).await?;
        self.settle().await
    }

    /// Looks again and again, until `stop` is cancelled.
    ///
    /// # Errors
    /// As [`Self::tend`], unless it may pass.
    pub async fn keep_tending(self, stop: CancellationToken) -> Result<(), RunError> {
        // Publishing takes as long as the broker lets it; other runs come to their end meanwhile.
        let publishing = async {
            while self.is_time(&stop, self.listed.notified()).await {
                passing(self.publish(&stop).await)?;
            }
            Ok(())
        };
        let settling = async {
            while self.is_time(&stop, future::pending()).await {
                passing(self.settle().await)?;
            }
            Ok(())
        };
        future::try_join(publishing, settling).await.map(drop)
    }

    /// Waits for the next look, or until there is `something` to do. Not when `stop` is cancelled.
    async fn is_time(&self, stop: &CancellationToken, something: impl Future<Output = ()>) -> bool {
        tokio::select! {
            () = stop.cancelled() => false,
            () = tokio::time::sleep(PAUSE) => true,
            () = something => true,
        }
    }

    /// Publishes what is listed and is not published by anybody.
    async fn publish(&self, stop: &CancellationToken) -> Result<(), RunError> {
        for run_id in self.catalog.unpublished_runs().await? {
            self.publisher.publish(run_id, stop).await?;
        }
        Ok(())
    }

    /// Gives up jobs that no worker can finish any more, and ends runs.
    async fn settle(&self) -> Result<(), RunError> {
        // An event that waits may tell of a job that has long ended.
        if self.broker.waiting(Queue::Events).await? == 0 {
            let expired = self.catalog.expire_jobs(self.job_deadline, GRACE).await?;
            if expired > 0 {
                warn!(jobs = expired, "gave up jobs whose deadline has passed");
            }
        }
        Ok(self.catalog.finish_runs().await?)
    }
}

/// Lets what may pass be done later.
fn passing(done: Result<(), RunError>) -> Result<(), RunError> {
    match done {
        Err(error) if error.is_transient() => {
            warn!("looking after runs later: {error}");
            Ok(())
        }
        done => done,
    }
}
