//! Keeps runs from getting stuck when a process is killed: publishes what a killed coordinator left unpublished,
//! gives up jobs that no worker can finish any more, and ends runs that have no job left.
//!
//! Every coordinator that stays around does this. It is safe that several do, because each step is one change in
//! the catalog that only one of them makes.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use seedbed_protocol::broker::{Broker, Queue};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{Span, warn};

use crate::{catalog::Catalog, publish::Publisher, run::RunError};

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
        }
    }

    /// Looks once. Ends before it is done when `stop` is cancelled.
    ///
    /// # Errors
    /// [`RunError`] when the catalog or the broker fails.
    pub async fn tend(&self, stop: &CancellationToken) -> Result<(), RunError> {
        for run_id in self.catalog.unpublished_runs().await? {
            warn!(run = %run_id, "publishing what another coordinator left unpublished");
            self.publisher.publish(run_id, &Span::none(), stop).await?;
        }
        // An event that waits may tell of a job that has long ended.
        if self.broker.waiting(Queue::Events).await? == 0 {
            let expired = self.catalog.expire_jobs(self.job_deadline, GRACE).await?;
            if expired > 0 {
                warn!(jobs = expired, "gave up jobs whose deadline has passed");
            }
        }
        Ok(self.catalog.finish_runs().await?)
    }

    /// Looks again and again, until `stop` is cancelled.
    ///
    /// # Errors
    /// As [`Self::tend`], unless it may pass.
    pub async fn keep_tending(self, stop: CancellationToken) -> Result<(), RunError> {
        let mut ticks = tokio::time::interval(PAUSE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = ticks.tick() => {}
            }
            match self.tend(&stop).await {
                Err(error) if error.is_transient() => warn!("looking after runs later: {error}"),
                tended => tended?,
            }
        }
    }
}
