//! Measures queues and catalog while the process serves.

use std::time::Duration;

use chrono::Utc;
use opentelemetry::{KeyValue, metrics::Gauge};
use seedbed_protocol::broker::{Broker, BrokerError, Queue};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{
    decided::DecidedGauges,
    standing::{Standing, Untaken},
};
use crate::{
    catalog::{Catalog, CatalogError, FreshnessPromise, Quarantine},
    metrics::meter,
};

/// Between two measurements.
const MEASURE_PAUSE: Duration = Duration::from_secs(10);

/// Gauges of what the catalog and the broker know. Every coordinator that serves reports the same.
pub(crate) struct Gauges {
    catalog: Catalog,
    messages: Gauge<u64>,
    consumers: Gauge<u64>,
    oldest_job: Gauge<f64>,
    snapshot_age: Gauge<f64>,
    stores: Gauge<u64>,
    quarantine: Quarantine,
    quarantined: Gauge<u64>,
    parked: Gauge<u64>,
    untaken: Gauge<u64>,
    workers: Gauge<u64>,
    worker_slots: Gauge<u64>,
    decided: DecidedGauges,
    promise: FreshnessPromise,
    promised: Promised,
}

/// What was promised of the snapshots, and what came of it: alerts compare them.
struct Promised {
    age: Gauge<f64>,
    objective: Gauge<f64>,
    share: Gauge<f64>,
    budget: Gauge<f64>,
}

impl Promised {
    fn new() -> Self {
        let meter = meter();
        let gauge = |name, description| meter.f64_gauge(name).with_description(description);
        Self {
            age: gauge(
                "seedbed.freshness.age",
                "How old the snapshot of a store may be",
            )
            .with_unit("s")
            .build(),
            objective: gauge(
                "seedbed.freshness.objective",
                "The share of stores for which that has to be true",
            )
            .build(),
            share: gauge(
                "seedbed.freshness.share",
                "The share of stores for which it is true now",
            )
            .build(),
            budget: gauge(
                "seedbed.freshness.budget",
                "The share of the error budget of 30 days that is left",
            )
            .build(),
        }
    }

    async fn measure(
        &self,
        catalog: &Catalog,
        promise: FreshnessPromise,
    ) -> Result<(), CatalogError> {
        self.age.record(promise.age.as_secs_f64(), &[]);
        self.objective.record(promise.objective, &[]);
        let now = catalog.fresh_now(promise.age).await?;
        self.share.record(now.share(), &[]);
        let history = catalog.freshness_history().await?;
        self.budget.record(history.all.budget_left(promise), &[]);
        Ok(())
    }
}

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
enum MeasureError {
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

impl Gauges {
    pub(crate) fn new(catalog: Catalog, quarantine: Quarantine, promise: FreshnessPromise) -> Self {
        Self {
            catalog,
            messages: meter()
                .u64_gauge("seedbed.queue.messages")
                .with_unit("{message}")
                .with_description(
                    "Messages that wait, without those that were delivered and not settled",
                )
                .build(),
            consumers: meter()
                .u64_gauge("seedbed.queue.consumers")
                .with_unit("{consumer}")
                .with_description("Consumers of the queue")
                .build(),
            oldest_job: meter()
                .f64_gauge("seedbed.queue.oldest_job.age")
                .with_unit("s")
                .with_description("Since the oldest job that no worker has started was listed")
                .build(),
            snapshot_age: meter()
                .f64_gauge("seedbed.snapshot.age")
                .with_unit("s")
                .with_description("Since the stores' snapshots were made, by quantile")
                .build(),
            stores: meter()
                .u64_gauge("seedbed.stores")
                .with_unit("{store}")
                .with_description("Stores of the source, by whether they have a snapshot")
                .build(),
            quarantine,
            quarantined: meter()
                .u64_gauge("seedbed.stores.quarantined")
                .with_unit("{store}")
                .with_description("Stores that sweeps skip, since they kept failing alone")
                .build(),
            parked: meter()
                .u64_gauge("seedbed.jobs.parked")
                .with_unit("{job}")
                .with_description("Jobs that failed for good and that a retry would start over")
                .build(),
            untaken: meter()
                .u64_gauge("seedbed.jobs.untaken")
                .with_unit("{job}")
                .with_description("Jobs that wait while no worker takes any")
                .build(),
            workers: meter()
                .u64_gauge("seedbed.workers")
                .with_unit("{worker}")
                .with_description("Workers that say that they are there")
                .build(),
            worker_slots: meter()
                .u64_gauge("seedbed.workers.slots")
                .with_unit("{slot}")
                .with_description("Jobs that these workers may work on at a time")
                .build(),
            decided: DecidedGauges::new(),
            promise,
            promised: Promised::new(),
        }
    }

    /// Measures every few seconds, until `stop` is cancelled. What is unavailable keeps its last value.
    pub(crate) async fn run(&self, broker: &dyn Broker, stop: &CancellationToken) {
        loop {
            if let Err(error) = self.measure(broker).await {
                debug!("cannot measure now: {error}");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(MEASURE_PAUSE) => {}
            }
        }
    }

    async fn measure(&self, broker: &dyn Broker) -> Result<(), MeasureError> {
        let now = Utc::now();
        let freshness = self.catalog.freshness(now).await?;
        for (state, stores) in [
            ("with_snapshot", freshness.stores() - freshness.never),
            ("without_snapshot", freshness.never),
        ] {
            self.stores
                .record(stores, &[KeyValue::new("seedbed.state", state)]);
        }
        let quarantined = self.catalog.count_quarantined(self.quarantine).await?;
        self.quarantined.record(quarantined, &[]);
        for (quantile, age) in self.catalog.snapshot_ages(now).await? {
            let quantile = KeyValue::new("seedbed.quantile", quantile);
            self.snapshot_age.record(age.as_secs_f64(), &[quantile]);
        }
        self.decided.record(&self.catalog.decided().await?);
        self.promised.measure(&self.catalog, self.promise).await?;
        let parked = self.catalog.parked_jobs(i64::MAX).await?;
        self.parked.record(parked, &[]);
        let workers = self.catalog.workers().await?;
        self.workers.record(workers.len() as u64, &[]);
        let slots = workers.iter().map(|worker| worker.slots).sum();
        self.worker_slots.record(slots, &[]);
        let waiting = self.catalog.oldest_waiting(now).await?;
        self.oldest_job.record(waiting.as_secs_f64(), &[]);
        for queue in Queue::ALL {
            let waiting = broker.waiting(queue).await?;
            let consumers = broker.consumers(queue).await?;
            let name = [KeyValue::new("seedbed.queue", queue.name())];
            self.messages.record(waiting, &name);
            self.consumers.record(consumers, &name);
            if queue == Queue::Jobs {
                let Untaken(untaken) = Standing { waiting, consumers }.untaken();
                self.untaken.record(untaken, &[]);
            }
        }
        Ok(())
    }
}
