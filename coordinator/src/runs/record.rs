//! Records what workers report: takes events from the broker, applies them to the catalog in batches, and
//! acknowledges them after the commit.
//!
//! At least once: killed before the acknowledgement, the same events are delivered again, and change nothing then.
//! An event that the catalog refuses is parked, and does not hold up the others.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use opentelemetry_semantic_conventions::attribute::{
    DB_SYSTEM_NAME, MESSAGING_BATCH_MESSAGE_COUNT,
};
use seedbed_protocol::{
    broker::{Broker, BrokerError, Delivery, Queue, patience::in_vain, spans::process_span},
    message::{EventKind, SeedEvent, codec::CodecError},
    telemetry::trace::{TraceContext, attribute, fail},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, info_span, warn};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{error::RecordError, progress::Counts, queues::fill_batch};
use crate::{
    catalog::{Applied, Catalog, CatalogError, ConfigChange},
    metrics::EventMetrics,
};

/// Events in one transaction. More would hardly be faster, and would make one failure costlier.
const EVENT_BATCH: u16 = 256;

/// Pause before consuming again after a failure.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// How long to wait for an event before asking whether the queue is empty.
const QUIET: Duration = Duration::from_millis(300);

/// Applies events to the catalog.
pub struct Recorder {
    catalog: Catalog,
    broker: Arc<dyn Broker>,
    counts: watch::Sender<Counts>,
    /// The newest sync config that snapshots tell of, once one is newer than those of other stores.
    generation: watch::Sender<Option<String>>,
    /// The newest sync config that was looked at.
    newest: Mutex<Option<String>>,
    metrics: EventMetrics,
}

impl Recorder {
    /// Takes events from `broker`, applies them to `catalog`, and counts in `counts` what ended.
    pub fn new(catalog: Catalog, broker: Arc<dyn Broker>, counts: watch::Sender<Counts>) -> Self {
        Self {
            catalog,
            broker,
            counts,
            generation: watch::Sender::default(),
            newest: Mutex::default(),
            metrics: EventMetrics::new(),
        }
    }

    /// Returns a receiver of the sync config that events tell of; it changes when stores have snapshots of an older one.
    pub fn generation(&self) -> watch::Receiver<Option<String>> {
        self.generation.subscribe()
    }

    /// Applies events until `stop` is cancelled, and then those that are already there.
    ///
    /// # Errors
    /// [`RecordError`] when the catalog or the broker fails; events that were not applied come again.
    pub async fn run(&self, stop: CancellationToken) -> Result<(), RecordError> {
        let consuming = self.broker.consume(Queue::Events, EVENT_BATCH);
        let mut consumer = tokio::select! {
            biased;
            consumer = consuming => consumer?,
            () = stop.cancelled() => return Ok(()),
        };
        loop {
            let first = tokio::select! {
                biased;
                first = consumer.next() => first,
                () = stop.cancelled() => None,
            };
            let Some(first) = first else {
                return Ok(());
            };
            let batch = fill_batch(first, consumer.as_mut(), EVENT_BATCH);
            tokio::select! {
                applied = self.apply(batch) => applied?,
                // What is not settled is delivered again, and changes nothing then.
                () = in_vain(self.broker.as_ref(), &stop) => return Ok(()),
            }
        }
    }

    /// Calls [`Self::run`] again whenever the catalog or the broker was unavailable for a while.
    ///
    /// # Errors
    /// As [`Self::run`], except for transient ones.
    pub async fn keep_running(&self, stop: CancellationToken) -> Result<(), RecordError> {
        loop {
            match self.run(stop.clone()).await {
                // What was not recorded was not acknowledged: another process, or the next one, gets it.
                Err(_) if stop.is_cancelled() => return Ok(()),
                Err(error) if error.is_transient() => warn!("events are recorded later: {error}"),
                ended => return ended,
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    /// Applies every event that waits now, so that the caller then works with the current state.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn catch_up(&self) -> Result<(), RecordError> {
        if self.broker.waiting(Queue::Events).await? == 0 {
            return Ok(());
        }
        let mut consumer = self.broker.consume(Queue::Events, EVENT_BATCH).await?;
        loop {
            match tokio::time::timeout(QUIET, consumer.next()).await {
                Ok(Some(first)) => {
                    self.apply(fill_batch(first, consumer.as_mut(), EVENT_BATCH))
                        .await?;
                }
                Ok(None) => return Ok(()),
                Err(_) if self.broker.waiting(Queue::Events).await? == 0 => return Ok(()),
                Err(_) => {}
            }
        }
    }

    async fn apply(&self, batch: Vec<Delivery>) -> Result<(), RecordError> {
        let (mut events, mut taken) = (Vec::new(), Vec::new());
        for delivery in batch {
            let span = process_span(self.broker.as_ref(), Queue::Events, &delivery);
            match delivery.message.decode::<SeedEvent>() {
                Ok(event) => {
                    span.set_attribute("seedbed.event", event.kind.name());
                    events.push(event);
                    taken.push(Taken { delivery, span });
                }
                Err(error) => park_undecoded(delivery, &error).instrument(span).await?,
            }
        }
        if events.is_empty() {
            return Ok(());
        }
        let span = self.batch_span(&taken);
        let applied = self.catalog.apply(&events).instrument(span.clone()).await;
        if let Err(error) = &applied {
            fail(&span, "catalog", error);
        }
        drop(span);
        match applied {
            Ok(applied) => self.settle_all(&events, &applied, taken).await,
            Err(error) if error.is_transient() => Err(error.into()),
            Err(_) => self.apply_one_by_one(&events, taken).await,
        }
    }

    /// The batch has a trace of its own, linked to those of the jobs, which link to it.
    fn batch_span(&self, taken: &[Taken]) -> Span {
        let span = info_span!(parent: None, "apply events", otel.kind = "client");
        span.set_attribute(DB_SYSTEM_NAME, self.catalog.db_system());
        span.set_attribute(MESSAGING_BATCH_MESSAGE_COUNT, attribute(taken.len()));
        let batch = TraceContext::of(&span);
        for one in taken {
            TraceContext::of(&one.span).link(&span);
            batch.link(&one.span);
        }
        span
    }

    /// Finds the event that the catalog refuses, and parks it: it must not hold up the others.
    async fn apply_one_by_one(
        &self,
        events: &[SeedEvent],
        taken: Vec<Taken>,
    ) -> Result<(), RecordError> {
        for (event, one) in events.iter().zip(taken) {
            let event = std::slice::from_ref(event);
            let applying = self.catalog.apply(event).instrument(one.span.clone());
            match applying.await {
                Ok(applied) => self.settle_all(event, &applied, vec![one]).await?,
                Err(error) if error.is_transient() => return Err(error.into()),
                Err(error) => {
                    park_refused(one.delivery, &error)
                        .instrument(one.span)
                        .await?;
                }
            }
        }
        Ok(())
    }

    async fn settle_all(
        &self,
        events: &[SeedEvent],
        applied: &[Applied],
        taken: Vec<Taken>,
    ) -> Result<(), RecordError> {
        self.metrics.applied(events);
        self.notice_config(events).await?;
        self.counts.send_modify(|counts| counts.add(applied));
        let (mut done, mut spans) = (Vec::new(), Vec::new());
        for ((event, applied), one) in events.iter().zip(applied).zip(taken) {
            one.span.set_attribute("seedbed.applied", applied.name());
            if *applied == Applied::UnknownJob {
                let parking = park_unknown(event, one.delivery).instrument(one.span);
                or_redelivered(parking.await)?;
                continue;
            }
            done.push(one.delivery);
            spans.push(one.span);
        }
        Ok(or_redelivered(Delivery::ack_all(done).await)?)
    }
}

impl Recorder {
    /// Tells once that a snapshot was made with a newer sync config than those of other stores.
    async fn notice_config(&self, events: &[SeedEvent]) -> Result<(), RecordError> {
        let generations = events.iter().filter_map(|event| match &event.kind {
            EventKind::Completed { manifest } => manifest.checkpoint.generation(),
            _ => None,
        });
        let age = |generation: &str| (generation.len(), generation.to_owned());
        let Some(newest) = generations.max_by_key(|generation| age(generation)) else {
            return Ok(());
        };
        {
            let mut seen = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
            if seen.as_deref().map(age) >= Some(age(newest)) {
                return Ok(());
            }
            *seen = Some(newest.to_owned());
        }
        let changes = self.catalog.stale_generations(newest).await?;
        for ConfigChange { from, to, stores } in &changes {
            warn!(
                "sync config changed: {from} \u{2192} {to}; {stores} more stores are downloaded in full"
            );
        }
        if !changes.is_empty() {
            self.generation.send_replace(Some(newest.to_owned()));
        }
        Ok(())
    }
}

/// An event's message, with the span of its processing.
struct Taken {
    delivery: Delivery,
    span: Span,
}

async fn park_refused(delivery: Delivery, error: &CatalogError) -> Result<(), BrokerError> {
    fail(&Span::current(), "catalog", error);
    tracing::error!(%error, "parked an event that the catalog refuses");
    or_redelivered(delivery.park(error.to_string()).await)
}

async fn park_undecoded(delivery: Delivery, error: &CodecError) -> Result<(), BrokerError> {
    fail(&Span::current(), "decode", error);
    tracing::error!(%error, "parked a message that is no event");
    or_redelivered(delivery.park(error.to_string()).await)
}

async fn park_unknown(event: &SeedEvent, delivery: Delivery) -> Result<(), BrokerError> {
    tracing::error!(job_id = %event.job_id, "parked an event of a job that the catalog does not know");
    let reason = format!(
        "the catalog does not know the job {} as it is told of",
        event.job_id
    );
    delivery.park(reason).await
}

/// Ignores a lost connection: what was not settled over it is delivered again, and changes nothing then.
fn or_redelivered(settled: Result<(), BrokerError>) -> Result<(), BrokerError> {
    match settled {
        Err(error) if error.is_transient() => {
            tracing::warn!("an event will be delivered again: {error}");
            Ok(())
        }
        settled => settled,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use async_trait::async_trait;
    use bytes::Bytes;
    use chrono::Utc;
    use seedbed_protocol::{
        Attempt, JobId, RunId, StoreId,
        broker::{Headers, MemoryBroker, Message, Settlement},
        telemetry::trace::TraceContext,
    };
    use tempfile::TempDir;

    use super::*;

    /// A delivery that can only be settled with this error.
    struct Unsettled(BrokerError);

    #[async_trait]
    impl Settlement for Unsettled {
        async fn ack(self: Box<Self>) -> Result<(), BrokerError> {
            Err(self.0)
        }

        async fn retry_later(self: Box<Self>, _: Message, _: Duration) -> Result<(), BrokerError> {
            Err(self.0)
        }

        async fn park(self: Box<Self>, _: Message) -> Result<(), BrokerError> {
            Err(self.0)
        }
    }

    #[tokio::test]
    async fn a_connection_that_is_lost_before_an_event_is_settled_does_not_stop_the_rest() {
        let directory = TempDir::new().unwrap();
        let url = format!("sqlite:{}", directory.path().join("catalog.db").display());
        let events = Recorder::new(
            Catalog::open(&url).await.unwrap(),
            Arc::new(MemoryBroker::default()),
            watch::Sender::default(),
        );
        let event = SeedEvent {
            run_id: RunId::new(),
            job_id: JobId::new(),
            store_id: StoreId::new("7").unwrap(),
            attempt: Attempt::FIRST,
            at: Utc::now(),
            worker: "worker-1".to_owned(),
            kind: EventKind::Started { trace_id: None },
            steps: Vec::new(),
        };
        let garbage = Message {
            body: Bytes::from_static(b"garbage"),
            headers: Headers::default(),
        };
        for message in [
            Message::event(&event, TraceContext::default()).unwrap(),
            garbage,
        ] {
            let settled_with = |error| {
                let settlement = Box::new(Unsettled(error));
                events.apply(vec![Delivery::new(message.clone(), 0, settlement)])
            };
            settled_with(BrokerError::Void).await.unwrap();
            let closed = settled_with(BrokerError::Closed).await;
            assert!(matches!(
                closed,
                Err(RecordError::Broker(BrokerError::Closed))
            ));
        }
    }
}
