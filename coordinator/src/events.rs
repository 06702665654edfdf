//! Takes what workers report, applies it to the catalog in batches, and acknowledges it after the commit.

use std::{sync::Arc, time::Duration};

use futures::FutureExt;
use seedbed_protocol::{
    broker::{Broker, BrokerError, Consumer, Delivery, Queue},
    message::SeedEvent,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    catalog::{Applied, Catalog, CatalogError},
    progress::Counts,
};

/// Events in one transaction. More would not be faster by much, and would make one failure costlier.
const BATCH: u16 = 256;

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
                    or_again(delivery.park(error.to_string()).await)?;
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
                    or_again(delivery.park(error.to_string()).await)?;
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
            or_again(settle(event, *applied, delivery).await)?;
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

/// An event whose connection was lost before it was settled comes again, and then changes nothing.
fn or_again(settled: Result<(), BrokerError>) -> Result<(), BrokerError> {
    match settled {
        Err(error) if error.is_transient() => {
            tracing::warn!("an event will be delivered again: {error}");
            Ok(())
        }
        settled => settled,
    }
}
