//! Takes messages.

mod settlement;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use backon::Retryable;
use futures::{StreamExt, future::join_all};
use lapin::{
    Channel,
    options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions},
    types::FieldTable,
};
use tokio::time::timeout;

use self::settlement::Unsettled;
pub(super) use self::settlement::deliver;
use super::{
    super::{
        contract::{Consumer, Delivery},
        error::BrokerError,
        queue::Queue,
    },
    link::pauses,
    shared::Shared,
    topology,
};

/// How long an idle consumer waits before it looks whether messages wait for it all the same.
const IDLE: Duration = Duration::from_secs(10);

/// A consumer that subscribes again whenever its channel is lost, and when RabbitMQ has forgotten it: where a queue is deleted
/// while somebody subscribes to it, and declared again, RabbitMQ may neither deliver nor say that it does not.
pub(super) struct AmqpConsumer {
    shared: Arc<Shared>,
    queue: Queue,
    prefetch: u16,
    subscription: Option<Subscription>,
}

struct Subscription {
    channel: Channel,
    deliveries: lapin::Consumer,
    /// What was delivered and is not settled yet.
    unsettled: Arc<Unsettled>,
    /// Messages waited when it was idle last.
    is_suspect: bool,
}

impl Subscription {
    /// Returns whether RabbitMQ has forgotten it: messages wait, now and when it was idle last, and it holds none.
    async fn is_forgotten(&mut self, queue: Queue) -> bool {
        let was_suspect = std::mem::take(&mut self.is_suspect);
        if !self.unsettled.is_empty() {
            return false;
        }
        let passive = QueueDeclareOptions {
            passive: true,
            ..Default::default()
        };
        let asked = self
            .channel
            .queue_declare(queue.name().into(), passive, FieldTable::default());
        // If there is no such queue, RabbitMQ closes the channel, and with it the deliveries end; so they do when there is
        // no answer, since the connection is lost then.
        let waiting = match timeout(IDLE, asked).await {
            Ok(Ok(queue)) => queue.message_count(),
            Ok(Err(_)) | Err(_) => 0,
        };
        self.is_suspect = waiting > 0;
        was_suspect && self.is_suspect
    }
}

impl AmqpConsumer {
    pub(super) async fn start(
        shared: Arc<Shared>,
        queue: Queue,
        prefetch: u16,
    ) -> Result<Self, BrokerError> {
        let mut consumer = Self {
            shared,
            queue,
            prefetch,
            subscription: None,
        };
        if consumer.subscription().await.is_none() {
            let end = consumer.shared.taking.end();
            return Err(end.unwrap_or(BrokerError::Closed));
        }
        Ok(consumer)
    }

    /// Returns the subscription, a new one if the last was lost. `None` when there will be no connection any more.
    async fn subscription(&mut self) -> Option<&mut Subscription> {
        if self.subscription.is_none() {
            let subscribe = || subscribe(&self.shared, self.queue, self.prefetch);
            let subscription = subscribe
                .retry(pauses())
                .when(|_| self.shared.taking.end().is_none())
                .notify(
                    |error, _| tracing::warn!(queue = %self.queue, %error, "cannot consume now"),
                )
                .await;
            self.subscription = Some(subscription.ok()?);
        }
        self.subscription.as_mut()
    }

    /// Gives back what was fetched and not delivered.
    fn unsubscribe(&mut self) {
        if let Some(subscription) = self.subscription.take() {
            let give_back = give_back(self.shared.clone(), self.queue, subscription);
            self.shared.runtime.spawn(give_back);
        }
    }
}

#[async_trait]
impl Consumer for AmqpConsumer {
    async fn next(&mut self) -> Option<Delivery> {
        loop {
            if self.shared.taking.end().is_some() {
                return None;
            }
            let queue = self.queue;
            let subscription = self.subscription().await?;
            match timeout(IDLE, subscription.deliveries.next()).await {
                // What was fetched over a channel that was lost since then is delivered again.
                Ok(Some(Ok(fetched))) if !fetched.acker.usable() => {}
                Ok(Some(Ok(fetched))) => {
                    subscription.is_suspect = false;
                    let channel = subscription.channel.clone();
                    let unsettled = Some(subscription.unsettled.clone());
                    let shared = self.shared.clone();
                    return Some(deliver(shared, queue, channel, fetched, unsettled));
                }
                Ok(Some(Err(_)) | None) => self.subscription = None,
                Err(_) if subscription.is_forgotten(queue).await => {
                    tracing::warn!(%queue, "messages wait and none is delivered; subscribing again");
                    self.unsubscribe();
                }
                Err(_) => {}
            }
        }
    }
}

impl Drop for AmqpConsumer {
    fn drop(&mut self) {
        self.unsubscribe();
    }
}

/// Hands back what was prefetched and not delivered, so that it does not count as returned. If this fails, the end of
/// the channel gives it back.
async fn give_back(shared: Arc<Shared>, queue: Queue, subscription: Subscription) {
    let Subscription {
        channel,
        mut deliveries,
        ..
    } = subscription;
    let cancelled = channel
        .basic_cancel(deliveries.tag(), BasicCancelOptions::default())
        .await;
    if cancelled.is_err() {
        return;
    }
    let mut fetched = Vec::new();
    while let Some(Ok(delivery)) = deliveries.next().await {
        let delivery = deliver(shared.clone(), queue, channel.clone(), delivery, None);
        fetched.push(delivery);
    }
    join_all(fetched.into_iter().map(Delivery::hand_back)).await;
}

async fn subscribe(
    shared: &Shared,
    queue: Queue,
    prefetch: u16,
) -> Result<Subscription, BrokerError> {
    let channel = shared.taking.channel().await?;
    // The queue may be what was lost.
    topology::declare(&channel).await?;
    // RabbitMQ takes 0 for no limit.
    channel
        .basic_qos(prefetch.max(1), BasicQosOptions::default())
        .await?;
    let deliveries = channel
        .basic_consume(
            queue.name().into(),
            "".into(),
            BasicConsumeOptions::default(),
            arguments(shared.consumer_timeout),
        )
        .await?;
    Ok(Subscription {
        channel,
        deliveries,
        unsettled: Arc::default(),
        is_suspect: false,
    })
}

/// Returns a timeout that RabbitMQ reads from 4.3 on and ignores before
/// (<https://www.rabbitmq.com/docs/consumers#acknowledgement-timeout>).
fn arguments(consumer_timeout: Duration) -> FieldTable {
    let mut arguments = FieldTable::default();
    let millis = i64::try_from(consumer_timeout.as_millis()).unwrap_or(i64::MAX);
    arguments.insert("x-consumer-timeout".into(), millis.into());
    arguments
}
