//! Settles what was taken: one message, or many at once.

use std::{
    any::Any,
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures::future::try_join_all;
use lapin::{
    Acker, Channel,
    options::{BasicAckOptions, BasicNackOptions},
    types::DeliveryTag,
};

use super::super::{
    super::{
        contract::{Delivery, Settlement},
        envelope::Message,
        error::BrokerError,
        queue::Queue,
    },
    shared::Shared,
    topology::Route,
    wire,
};

/// The tags of what a subscription has handed out and nobody has settled. RabbitMQ counts them up on each channel.
#[derive(Default)]
pub(in crate::broker::amqp) struct Unsettled(Mutex<BTreeSet<DeliveryTag>>);

impl Unsettled {
    fn tags(&self) -> MutexGuard<'_, BTreeSet<DeliveryTag>> {
        // No code panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether everything that was handed out is settled.
    pub(super) fn is_empty(&self) -> bool {
        self.tags().is_empty()
    }
}

/// Returns the delivery of what was fetched from `queue` over `channel`; until it is settled its tag is in `unsettled`.
pub(in crate::broker::amqp) fn deliver(
    shared: Arc<Shared>,
    queue: Queue,
    channel: Channel,
    fetched: lapin::message::Delivery,
    unsettled: Option<Arc<Unsettled>>,
) -> Delivery {
    let (message, returned) = wire::read(queue, fetched.data, &fetched.properties);
    if let Some(unsettled) = &unsettled {
        unsettled.tags().insert(fetched.delivery_tag);
    }
    let held = Held {
        shared,
        queue,
        channel,
        acker: fetched.acker,
        tag: fetched.delivery_tag,
        unsettled,
        is_acked: false,
    };
    Delivery::new(message, returned, Box::new(held))
}

/// A message that RabbitMQ counts as taken; dropped unsettled, it goes back to its queue.
struct Held {
    shared: Arc<Shared>,
    queue: Queue,
    /// RabbitMQ takes back what was taken over a channel that is closed, so this keeps it open.
    channel: Channel,
    acker: Acker,
    tag: DeliveryTag,
    /// What else its subscription has handed out, if it is of one.
    unsettled: Option<Arc<Unsettled>>,
    /// Whether it was acknowledged together with a later one.
    is_acked: bool,
}

impl Held {
    /// Stores `next` before it forgets the old message.
    async fn replace(&self, route: Route, next: Message) -> Result<(), BrokerError> {
        if !self.acker.usable() {
            return Err(BrokerError::Void);
        }
        self.shared.publish(route, next).await?;
        self.forget(false).await
    }

    /// Acknowledges it; with `earlier`, also everything that was delivered over its channel before.
    async fn forget(&self, earlier: bool) -> Result<(), BrokerError> {
        let options = BasicAckOptions { multiple: earlier };
        match self.acker.ack(options).await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(BrokerError::Void),
        }
    }
}

/// Returns whether an acknowledgement of `last` and of all that came before is one of it and `earlier`: they are of one
/// subscription, and everything else that it has handed out until then is settled.
fn are_all_until(last: &Held, earlier: &[Held]) -> bool {
    let Some(unsettled) = &last.unsettled else {
        return false;
    };
    let is_of_it = |held: &Held| {
        let of_it = held.unsettled.as_ref();
        of_it.is_some_and(|of_it| Arc::ptr_eq(of_it, unsettled)) && held.acker.usable()
    };
    let until_then = unsettled.tags().range(..=last.tag).count();
    earlier.iter().all(is_of_it) && until_then == earlier.len() + 1
}

#[async_trait]
impl Settlement for Held {
    async fn ack(self: Box<Self>) -> Result<(), BrokerError> {
        self.forget(false).await
    }

    async fn ack_with(
        self: Box<Self>,
        others: Vec<Box<dyn Settlement>>,
    ) -> Result<(), BrokerError> {
        let mut batch = vec![*self];
        for other in others {
            let other: Box<dyn Any + Send> = other;
            match other.downcast::<Self>() {
                Ok(held) => batch.push(*held),
                // Of another broker: dropped, it comes again.
                Err(_) => debug_assert!(false, "deliveries of one broker"),
            }
        }
        batch.sort_by_key(|held| held.tag);
        let last = batch.pop().expect("there is one at least");
        if !are_all_until(&last, &batch) {
            let each = batch.iter().chain([&last]).map(|held| held.forget(false));
            return try_join_all(each).await.map(drop);
        }
        for held in &mut batch {
            held.is_acked = true;
        }
        last.forget(true).await
    }

    async fn retry_later(
        self: Box<Self>,
        next: Message,
        delay: Duration,
    ) -> Result<(), BrokerError> {
        let route = Route::after(self.queue, delay)?;
        self.replace(route, next).await
    }

    async fn park(self: Box<Self>, parked: Message) -> Result<(), BrokerError> {
        self.replace(Route::to(self.queue.parking()), parked).await
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let unsettled = self.unsettled.take();
        let tag = self.tag;
        let settled = move || {
            if let Some(unsettled) = unsettled {
                unsettled.tags().remove(&tag);
            }
        };
        if self.is_acked || !self.acker.usable() {
            return settled();
        }
        let (acker, channel) = (self.acker.clone(), self.channel.clone());
        self.shared.runtime.spawn(async move {
            let requeue = BasicNackOptions {
                multiple: false,
                requeue: true,
            };
            // If it fails, the channel is gone and the message is back already.
            let _ = acker.nack(requeue).await;
            drop(channel);
            settled();
        });
    }
}
