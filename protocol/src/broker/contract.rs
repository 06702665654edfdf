//! The traits that every broker implements, and a delivery, which has to be settled.

use std::{any::Any, fmt, time::Duration};

use async_trait::async_trait;

use super::{envelope::Message, error::BrokerError, queue::Queue, trouble::Trouble};

/// Messages between coordinator and workers, with the guarantees that [`crate::broker`] states.
#[async_trait]
pub trait Broker: Send + Sync + 'static {
    /// Stores `message` in `queue`; when this returns, it is safe. Waits while the queue is full. Many calls
    /// at once share one round trip.
    ///
    /// # Errors
    /// [`BrokerError`] when the message may not have been stored.
    async fn publish(&self, queue: Queue, message: Message) -> Result<(), BrokerError>;

    /// Starts to take messages from `queue`, at most `prefetch` unsettled ones at a time. Waits for a connection.
    ///
    /// # Errors
    /// [`BrokerError`] when the queue cannot be consumed.
    async fn consume(&self, queue: Queue, prefetch: u16) -> Result<Box<dyn Consumer>, BrokerError>;

    /// Takes the oldest message of `queue`, if there is one now.
    ///
    /// # Errors
    /// [`BrokerError`] when the queue cannot be read.
    async fn take(&self, queue: Queue) -> Result<Option<Delivery>, BrokerError>;

    /// Returns how many messages wait in `queue`, without those that are taken or wait for a retry.
    ///
    /// # Errors
    /// [`BrokerError`] when the queue cannot be asked.
    async fn waiting(&self, queue: Queue) -> Result<u64, BrokerError>;

    /// Returns how many messages `queue` has that no consumer has: those that wait, and those that wait for a retry.
    ///
    /// # Errors
    /// [`BrokerError`] when the queue cannot be asked.
    async fn held(&self, queue: Queue) -> Result<u64, BrokerError>;

    /// Returns how many consumers `queue` has.
    ///
    /// # Errors
    /// [`BrokerError`] when the queue cannot be asked.
    async fn consumers(&self, queue: Queue) -> Result<u64, BrokerError>;

    /// Returns what keeps messages from being published, as far as it is known now; for probes and people.
    fn trouble(&self) -> Option<Trouble>;

    /// Asks the broker whether it takes messages, for a few seconds at most, and returns what keeps it from that. For a
    /// program that has just connected; what runs longer knows by itself.
    async fn probe(&self) -> Option<Trouble> {
        self.trouble()
    }

    /// Whether there is a connection; the broker may still be short of memory or disk.
    fn is_connected(&self) -> bool {
        !matches!(self.trouble(), Some(Trouble::Away { .. }))
    }

    /// Returns what it is and where, for spans.
    fn peer(&self) -> Peer;

    /// Ends all consumers and refuses further messages. What is taken and not settled goes back.
    async fn close(&self);
}

/// What a broker is and where, for spans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// `messaging.system`
    pub system: &'static str,
    /// Its host and port, unless it is in this process.
    pub address: Option<(String, u16)>,
}

/// A stream of deliveries. Dropping it gives back what was fetched for it and not handed out; what it has
/// handed out can still be settled. It outlives a lost connection.
#[async_trait]
pub trait Consumer: Send {
    /// Waits for the next message and returns it; `None` once the broker is closed. Cancelling it loses nothing.
    async fn next(&mut self) -> Option<Delivery>;
}

/// One message, taken but not settled.
pub struct Delivery {
    pub message: Message,
    /// How often it was taken before and not settled. RabbitMQ also counts what was in flight to a consumer that ended.
    pub returned: u32,
    settlement: Box<dyn Settlement>,
}

impl Delivery {
    /// Returns a delivery that `settlement` settles; for implementations of [`Broker`].
    pub fn new(message: Message, returned: u32, settlement: Box<dyn Settlement>) -> Self {
        Self {
            message,
            returned,
            settlement,
        }
    }

    /// Acknowledges the message: the work is done.
    ///
    /// # Errors
    /// [`BrokerError`]: the message may come again.
    pub async fn ack(self) -> Result<(), BrokerError> {
        self.settlement.ack().await
    }

    /// Acknowledges all of these messages: the work is done. What one consumer has handed out in a row costs the broker one
    /// acknowledgement.
    ///
    /// # Errors
    /// [`BrokerError`]: some of the messages may come again.
    pub async fn ack_all(deliveries: Vec<Self>) -> Result<(), BrokerError> {
        let mut settlements = deliveries.into_iter().map(|delivery| delivery.settlement);
        match settlements.next() {
            Some(first) => first.ack_with(settlements.collect()).await,
            None => Ok(()),
        }
    }

    /// Has `next` delivered instead, but not before `delay` has passed, or the longest delay of the broker if that is
    /// less.
    ///
    /// # Errors
    /// [`BrokerError`]: the old message may come again, `next` as well. [`BrokerError::NoDelays`] when the
    /// queue has none ([`Queue::retried_in`]).
    pub async fn retry_later(self, next: Message, delay: Duration) -> Result<(), BrokerError> {
        self.settlement.retry_later(next, delay).await
    }

    /// Gives the message back for another consumer to take at once. Unlike a dropped delivery, it does not count as
    /// `returned`.
    ///
    /// # Errors
    /// [`BrokerError`]: the message may come twice.
    pub async fn hand_back(self) -> Result<(), BrokerError> {
        self.settlement
            .retry_later(self.message, Duration::ZERO)
            .await
    }

    /// Parks the message for a person to look at: in [`Queue::parking`], with the reason.
    ///
    /// # Errors
    /// [`BrokerError`]: the message may come again.
    pub async fn park(self, reason: String) -> Result<(), BrokerError> {
        let mut message = self.message;
        message.headers.parked = Some(reason);
        self.settlement.park(message).await
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("headers", &self.message.headers)
            .field("returned", &self.returned)
            .finish_non_exhaustive()
    }
}

/// Settles one delivery; dropping it unsettled gives the message back.
#[async_trait]
pub trait Settlement: Any + Send {
    async fn ack(self: Box<Self>) -> Result<(), BrokerError>;
    /// Acknowledges it and `others`, which are of the same broker. See [`Delivery::ack_all`].
    async fn ack_with(
        self: Box<Self>,
        others: Vec<Box<dyn Settlement>>,
    ) -> Result<(), BrokerError> {
        self.ack().await?;
        for other in others {
            other.ack().await?;
        }
        Ok(())
    }
    async fn retry_later(
        self: Box<Self>,
        next: Message,
        delay: Duration,
    ) -> Result<(), BrokerError>;
    /// Stores `parked`, which says why, where the queue's messages are parked. See [`Delivery::park`].
    async fn park(self: Box<Self>, parked: Message) -> Result<(), BrokerError>;
}
