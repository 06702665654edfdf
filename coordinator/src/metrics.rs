//! What a coordinator measures. The names are listed in the README.

use std::time::Duration;

use chrono::Utc;
use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Gauge, Histogram, Meter},
};
use seedbed_protocol::{
    broker::{Broker, BrokerError, Queue},
    message::SeedEvent,
    telemetry::SCOPE,
};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::catalog::{Catalog, CatalogError};

/// Between two looks at queues and catalog.
const PAUSE: Duration = Duration::from_secs(10);

/// Seconds from a worker's report to the catalog.
const LAG: [f64; 12] = [
    0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0, 600.0,
];

/// Seconds of a request; the boundaries that OpenTelemetry's conventions advise.
const REQUESTS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

fn meter() -> Meter {
    global::meter(SCOPE)
}

/// What is published.
pub(crate) struct PublishMetrics {
    pub(crate) published: Counter<u64>,
}

impl PublishMetrics {
    pub(crate) fn new() -> Self {
        Self {
            published: meter()
                .u64_counter("seedbed.jobs.published")
                .with_unit("{job}")
                .with_description("Jobs that the broker has confirmed")
                .build(),
        }
    }
}

/// What workers report.
pub(crate) struct EventMetrics {
    events: Counter<u64>,
    lag: Histogram<f64>,
}

impl EventMetrics {
    pub(crate) fn new() -> Self {
        Self {
            events: meter()
                .u64_counter("seedbed.events")
                .with_unit("{event}")
                .with_description("Events that are in the catalog")
                .build(),
            lag: meter()
                .f64_histogram("seedbed.event.lag")
                .with_unit("s")
                .with_description("From a worker's report to the catalog")
                .with_boundaries(LAG.to_vec())
                .build(),
        }
    }

    /// Counts events that were committed just now.
    pub(crate) fn applied(&self, events: &[SeedEvent]) {
        let now = Utc::now();
        for event in events {
            let name = KeyValue::new("seedbed.event", event.kind.name());
            self.events.add(1, &[name]);
            // Clocks differ.
            let lag = (now - event.at).to_std().unwrap_or_default();
            self.lag.record(lag.as_secs_f64(), &[]);
        }
    }
}

/// What is asked of the server.
pub(crate) struct RequestMetrics {
    duration: Histogram<f64>,
}

impl RequestMetrics {
    pub(crate) fn new() -> Self {
        Self {
            duration: meter()
                .f64_histogram("http.server.request.duration")
                .with_unit("s")
                .with_description("From a request's headers to the answer's")
                .with_boundaries(REQUESTS.to_vec())
                .build(),
        }
    }

    /// Counts an answer.
    pub(crate) fn answered(
        &self,
        method: &str,
        route: Option<&str>,
        status: u16,
        elapsed: Duration,
    ) {
        // Of whatever else a client sends there would be no end.
        let method = match method {
            "GET" | "HEAD" | "OPTIONS" | "POST" | "PUT" | "PATCH" | "DELETE" | "CONNECT"
            | "TRACE" => method,
            _ => "_OTHER",
        };
        let mut attributes = vec![
            KeyValue::new("http.request.method", method.to_owned()),
            KeyValue::new("http.response.status_code", i64::from(status)),
        ];
        attributes.extend(route.map(|route| KeyValue::new("http.route", route.to_owned())));
        self.duration.record(elapsed.as_secs_f64(), &attributes);
    }
}

/// How things stand, as far as the catalog and the broker know. Every coordinator that serves says the same.
pub(crate) struct Standing {
    catalog: Catalog,
    messages: Gauge<u64>,
    consumers: Gauge<u64>,
    oldest_job: Gauge<f64>,
    snapshot_age: Gauge<f64>,
    stores: Gauge<u64>,
}

/// Why it is not known how things stand.
#[derive(Debug, thiserror::Error)]
enum StandingError {
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

impl Standing {
    pub(crate) fn new(catalog: Catalog) -> Self {
        Self {
            catalog,
            messages: meter()
                .u64_gauge("seedbed.queue.messages")
                .with_unit("{message}")
                .with_description("Messages that wait, without those that somebody holds")
                .build(),
            consumers: meter()
                .u64_gauge("seedbed.queue.consumers")
                .with_unit("{consumer}")
                .with_description("Who takes messages")
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
        }
    }

    /// Looks again and again, until `stop` is cancelled. What is away meanwhile keeps its last value.
    pub(crate) async fn keep_measuring(&self, broker: &dyn Broker, stop: &CancellationToken) {
        loop {
            if let Err(error) = self.measure(broker).await {
                debug!("cannot measure now: {error}");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }

    async fn measure(&self, broker: &dyn Broker) -> Result<(), StandingError> {
        let now = Utc::now();
        let freshness = self.catalog.freshness(now).await?;
        for (state, stores) in [
            ("with_snapshot", freshness.stores() - freshness.never),
            ("without_snapshot", freshness.never),
        ] {
            self.stores
                .record(stores, &[KeyValue::new("seedbed.state", state)]);
        }
        for (quantile, age) in self.catalog.snapshot_ages(now).await? {
            let quantile = KeyValue::new("seedbed.quantile", quantile);
            self.snapshot_age.record(age.as_secs_f64(), &[quantile]);
        }
        let waiting = self.catalog.oldest_waiting(now).await?;
        self.oldest_job.record(waiting.as_secs_f64(), &[]);
        for queue in Queue::ALL {
            let name = [KeyValue::new("seedbed.queue", queue.name())];
            self.messages.record(broker.waiting(queue).await?, &name);
            self.consumers.record(broker.consumers(queue).await?, &name);
        }
        Ok(())
    }
}
