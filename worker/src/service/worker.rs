//! Takes jobs from the broker, as many at a time as there are slots, until the worker is told to stop.

use std::{sync::Arc, time::Duration};

use seedbed_protocol::{
    broker::{Broker, BrokerError, Queue},
    manifest::Checkpoint,
    message::SeedJob,
    snapshots::SnapshotRepository,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{presence::Presence, settle::Settler};
use crate::{
    metrics::{Counters, Metrics},
    seed::{ConfigError, SeedError, Seeder},
    settings::WorkerSettings,
};

/// Takes seed jobs from the broker. Keeps nothing between jobs but connections.
#[derive(Clone)]
pub struct Worker {
    broker: Arc<dyn Broker>,
    settler: Arc<Settler>,
    metrics: Arc<Metrics>,
    slots: u16,
    /// Between two heartbeats.
    heartbeat: Duration,
}

/// How long handing jobs back may take when the broker does not answer.
const HAND_BACK_TIMEOUT: Duration = Duration::from_secs(5);

/// How long removing abandoned uploads may take.
const UPLOADS_TIMEOUT: Duration = Duration::from_secs(30);

/// Tells a worker to stop.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// Drain: take no more jobs, and finish those in flight.
    pub drain: CancellationToken,
    /// Hand the jobs that are still in flight back to the queue. Has no effect before `drain`.
    pub abort: CancellationToken,
}

impl Shutdown {
    /// Stops everything when `stop` is cancelled.
    pub fn at_once(stop: CancellationToken) -> Self {
        Self {
            drain: stop.clone(),
            abort: stop,
        }
    }
}

/// The service's answer to a stream that was only opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The first checkpoint, before any data.
    pub checkpoint: Checkpoint,
    /// Explicit subscriptions that select no bucket, with their parameters.
    pub without_bucket: Vec<String>,
}

impl Worker {
    /// Checks the settings, opens what they name, and removes what killed processes left in the work directory.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting that is wrong.
    pub fn new(
        settings: &WorkerSettings,
        snapshots: SnapshotRepository,
        broker: Arc<dyn Broker>,
    ) -> Result<Self, ConfigError> {
        let metrics = Arc::new(Metrics::new());
        let seeder = Seeder::new(settings, snapshots, metrics.clone())?;
        let config = settings.worker.clone();
        Ok(Self {
            slots: config.slots(),
            heartbeat: config.heartbeat,
            settler: Arc::new(Settler::new(
                broker.clone(),
                seeder,
                metrics.clone(),
                config,
            )),
            broker,
            metrics,
        })
    }

    /// Returns the counters of all jobs.
    pub fn progress(&self) -> Arc<Counters> {
        self.settler.seeder.progress()
    }

    /// Takes jobs until it is told to stop; waits for a broker that is away. Then finishes the jobs in flight or, after an
    /// abort, hands them back to the queue.
    ///
    /// # Errors
    /// When the broker refuses for good.
    pub async fn run(&self, shutdown: Shutdown) -> Result<(), BrokerError> {
        let slots = self.slots;
        self.metrics.has_slots(slots);
        let mut deliveries = tokio::select! {
            deliveries = self.broker.consume(Queue::Jobs, slots) => deliveries?,
            () = shutdown.drain.cancelled() => return Ok(()),
        };
        info!(slots, "taking jobs");
        let presence = Presence::new(
            self.broker.clone(),
            slots,
            self.settler.seeder.waiting(),
            self.heartbeat,
        );
        // Ends with this set: a worker that stopped is not announced any more.
        let mut announcing = JoinSet::new();
        announcing.spawn(presence.clone().keep_announcing());
        let mut jobs = JoinSet::new();
        loop {
            presence.is_busy_with(jobs.len());
            // The prefetch alone does not limit this: after a lost connection the broker delivers again what is still
            // in work.
            let is_full = jobs.len() >= slots.into();
            tokio::select! {
                () = shutdown.drain.cancelled() => break,
                Some(_) = jobs.join_next() => {}
                delivery = deliveries.next(), if !is_full => match delivery {
                    Some(delivery) => {
                        jobs.spawn(self.settler.clone().work_on(delivery, shutdown.abort.clone()));
                    }
                    None => break,
                },
            }
        }
        drop(deliveries);
        let finished = async { while jobs.join_next().await.is_some() {} };
        let too_late = async {
            shutdown.abort.cancelled().await;
            tokio::time::sleep(HAND_BACK_TIMEOUT).await;
        };
        tokio::select! {
            () = finished => {}
            () = too_late => {}
        }
        // What is left waits for the broker. Dropped, it goes back to the queue by itself.
        jobs.shutdown().await;
        announcing.shutdown().await;
        presence.leave().await;
        let uploads = self.settler.seeder.uploads_ended();
        if tokio::time::timeout(UPLOADS_TIMEOUT, uploads)
            .await
            .is_err()
        {
            warn!("left parts of uploads behind, since object storage does not answer");
        }
        Ok(())
    }

    /// Opens the stream that `job` would sync and reads its first checkpoint, but no data.
    ///
    /// # Errors
    /// The error that the job would fail with.
    pub async fn probe(&self, job: &SeedJob) -> Result<Probe, SeedError> {
        let (checkpoint, without_bucket) = self.settler.seeder.probe(job).await?;
        Ok(Probe {
            checkpoint,
            without_bucket,
        })
    }
}
