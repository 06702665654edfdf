//! Takes what workers report, applies it to the catalog in batches, and acknowledges it after the commit.

use std::{sync::Arc, time::Duration};

use futures::FutureExt;
use seedbed_protocol::{
    broker::{Broker, BrokerError, Consumer, Delivery, Queue},
    message::SeedEvent,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::{
    catalog::{Applied, Catalog, CatalogError},
    progress::Counts,
};

/// Events in one transaction. More would not be faster by much, and would make one failure costlier.
const BATCH: u16 = 256;

/// Before events are taken again after something was away.
const PAUSE: Duration = Duration::from_millis(500);

/// How long no event comes before the queue is asked whether there is one.
const QUIET: Duration = Duration::from_millis(300);

/// Why events are no longer applied.
#[derive(Debug, thiserror::Error)]
pub enum EventsError {
    /// The catalog refused; the events were not acknowledged.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The broker failed.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

impl EventsError {
    /// Whether the same events may be applied later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Catalog(error) => error.is_transient(),
            Self::Broker(error) => error.is_transient(),
        }
    }
}

/// Applies events to the catalog.
pub struct Events {
    catalog: Catalog,
    broker: Arc<dyn Broker>,
    counts: watch::Sender<Counts>,
}

impl Events {
    /// Takes events from `broker`, applies them to `catalog`, and counts in `counts` what ended.
    pub fn new(catalog: Catalog, broker: Arc<dyn Broker>, counts: watch::Sender<Counts>) -> Self {
        Self {
            catalog,
            broker,
            counts,
        }
    }

    /// Applies events until `stop` is cancelled, and then those that are already there.
    ///
    /// # Errors
    /// [`EventsError`] when the catalog or the broker fails; events that were not applied come again.
    pub async fn run(&self, stop: CancellationToken) -> Result<(), EventsError> {
        let mut consumer = self.broker.consume(Queue::Events, BATCH).await?;
        loop {
            let first = tokio::select! {
                biased;
                first = consumer.next() => first,
                () = stop.cancelled() => None,
            };
            let Some(first) = first else {
                return Ok(());
            };
            let batch = fill_batch(first, consumer.as_mut());
            self.apply(batch).await?;
        }
    }

    /// [`Self::run`] again and again, also after the catalog or the broker was away for a while.
    ///
    /// # Errors
    /// As [`Self::run`], unless it may pass.
    pub async fn keep_running(&self, stop: CancellationToken) -> Result<(), EventsError> {
        loop {
            match self.run(stop.clone()).await {
                // What was not recorded was not acknowledged: another process, or the next one, gets it.
                Err(_) if stop.is_cancelled() => return Ok(()),
                Err(error) if error.is_transient() => warn!("events are recorded later: {error}"),
                ended => return ended,
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Applies every event that waits now, so that what follows knows what has happened.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn catch_up(&self) -> Result<(), EventsError> {
        if self.broker.waiting(Queue::Events).await? == 0 {
            return Ok(());
        }
        let mut consumer = self.broker.consume(Queue::Events, BATCH).await?;
        loop {
            match tokio::time::timeout(QUIET, consumer.next()).await {
                Ok(Some(first)) => self.apply(fill_batch(first, consumer.as_mut())).await?,
                Ok(None) => return Ok(()),
                Err(_) if self.broker.waiting(Queue::Events).await? == 0 => return Ok(()),
                Err(_) => {}
            }
        }
    }

    async fn apply(&self, batch: Vec<Delivery>) -> Result<(), EventsError> {
        let (mut events, mut deliveries) = (Vec::new(), Vec::new());
        for delivery in batch {
            match delivery.message.decode::<SeedEvent>() {
                Ok(event) => {
                    events.push(event);
                    deliveries.push(delivery);
                }
                Err(error) => {
                    tracing::error!(%error, "parked a message that is no event");
                    or_redelivered(delivery.park(error.to_string()).await)?;
                }
            }
        }
        match self.catalog.apply(&events).await {
            Ok(applied) => self.settle_all(&events, &applied, deliveries).await,
            Err(error) if error.is_transient() => Err(error.into()),
            Err(_) => self.apply_one_by_one(&events, deliveries).await,
        }
    }

    /// Finds the event that the catalog refuses, and puts it aside: it must not hold up the others.
    async fn apply_one_by_one(
        &self,
        events: &[SeedEvent],
        deliveries: Vec<Delivery>,
    ) -> Result<(), EventsError> {
        for (event, delivery) in events.iter().zip(deliveries) {
            let event = std::slice::from_ref(event);
            match self.catalog.apply(event).await {
                Ok(applied) => self.settle_all(event, &applied, vec![delivery]).await?,
                Err(error) if error.is_transient() => return Err(error.into()),
                Err(error) => {
                    tracing::error!(%error, "parked an event that the catalog refuses");
                    or_redelivered(delivery.park(error.to_string()).await)?;
                }
            }
        }
        Ok(())
    }

    async fn settle_all(
        &self,
        events: &[SeedEvent],
        applied: &[Applied],
        deliveries: Vec<Delivery>,
    ) -> Result<(), EventsError> {
        self.counts.send_modify(|counts| counts.add(applied));
        for ((event, applied), delivery) in events.iter().zip(applied).zip(deliveries) {
            or_redelivered(settle(event, *applied, delivery).await)?;
        }
        Ok(())
    }
}

/// `first`, and whatever else is there already.
fn fill_batch(first: Delivery, consumer: &mut dyn Consumer) -> Vec<Delivery> {
    let mut batch = vec![first];
    while batch.len() < BATCH.into() {
        match consumer.next().now_or_never() {
            Some(Some(delivery)) => batch.push(delivery),
            _ => break,
        }
    }
    batch
}

async fn settle(
    event: &SeedEvent,
    applied: Applied,
    delivery: Delivery,
) -> Result<(), BrokerError> {
    if applied == Applied::UnknownJob {
        tracing::error!(job_id = %event.job_id, "parked an event of a job that the catalog does not know");
        let reason = format!(
            "the catalog does not know the job {} as it is told of",
            event.job_id
        );
        return delivery.park(reason).await;
    }
    delivery.ack().await
}

/// A lost connection is no reason to stop: what was not settled over it is delivered again, and changes nothing
/// then.
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
        message::EventKind,
        trace::TraceContext,
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
        let events = Events::new(
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
            worker: "somebody".to_owned(),
            kind: EventKind::Started { trace_id: None },
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
                Err(EventsError::Broker(BrokerError::Closed))
            ));
        }
    }
}
