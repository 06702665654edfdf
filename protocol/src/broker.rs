//! The delivery contract, the same in memory and on RabbitMQ.
//!
//! * A published message is safe once `publish` returns.
//! * A taken message stays with its consumer until it is settled: [`Delivery::ack`],
//!   [`Delivery::retry_later`] or [`Delivery::park`]. A consumer that dies, or a delivery that is dropped,
//!   gives the message back, and the next delivery of it says `redelivered`.
//! * `retry_later` and `park` store the message anew before they settle the old delivery, so a crash in
//!   between duplicates a message rather than losing it.
//! * Every message carries the W3C trace context of whoever published it first.

use std::{collections::VecDeque, fmt, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    Attempt, JobId,
    codec::{self, Body, CodecError},
    message::{SeedEvent, SeedJob},
    trace::TraceContext,
};

pub mod memory;

pub use memory::MemoryBroker;

/// Where messages wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Queue {
    /// Seed jobs, for workers.
    Jobs,
    /// Seed events, for the coordinator.
    Events,
}

impl Queue {
    /// The queue's name on a broker.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jobs => "seed.jobs",
            Self::Events => "seed.events",
        }
    }
}

impl fmt::Display for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What travels beside a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headers {
    /// The job that the message is about.
    pub job_id: JobId,
    /// The try that the message is about.
    pub attempt: Attempt,
    /// The trace that the message belongs to.
    pub trace: TraceContext,
}

/// A body and its headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// See [`crate::codec`].
    pub body: Bytes,
    /// See [`Headers`].
    pub headers: Headers,
}

impl Message {
    /// The message for `job`.
    ///
    /// # Errors
    /// [`CodecError`] when the job is too large for a body.
    pub fn job(job: &SeedJob, trace: TraceContext) -> Result<Self, CodecError> {
        let headers = Headers {
            job_id: job.job_id,
            attempt: job.attempt,
            trace,
        };
        Ok(Self {
            body: codec::encode(job)?.into(),
            headers,
        })
    }

    /// The message for `event`.
    ///
    /// # Errors
    /// [`CodecError`] when the event is too large for a body.
    pub fn event(event: &SeedEvent, trace: TraceContext) -> Result<Self, CodecError> {
        let headers = Headers {
            job_id: event.job_id,
            attempt: event.attempt,
            trace,
        };
        Ok(Self {
            body: codec::encode(event)?.into(),
            headers,
        })
    }

    /// Reads the body.
    ///
    /// # Errors
    /// [`CodecError`] when it is not a `T` that this program understands.
    pub fn decode<T: Body>(&self) -> Result<T, CodecError> {
        codec::decode(&self.body)
    }
}

/// Why a broker did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// It has been shut down; nothing more is taken or given.
    #[error("the broker is closed")]
    Closed,
    /// A message that cannot be written.
    #[error(transparent)]
    Message(#[from] CodecError),
}

/// A message that was parked, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// The message as it was taken.
    pub message: Message,
    /// Why nobody could work on it.
    pub reason: String,
}

/// Messages between coordinator and workers. See the module's contract.
#[async_trait]
pub trait Broker: Send + Sync + 'static {
    /// Stores `message` in `queue`; when this returns, it is safe. Waits while the queue is full.
    ///
    /// # Errors
    /// [`BrokerError`] when the message may not have been stored.
    async fn publish(&self, queue: Queue, message: Message) -> Result<(), BrokerError>;

    /// Starts to take messages from `queue`, at most `prefetch` unsettled ones at a time.
    ///
    /// # Errors
    /// [`BrokerError`] when the queue cannot be consumed.
    async fn consume(&self, queue: Queue, prefetch: u16) -> Result<Box<dyn Consumer>, BrokerError>;

    /// Takes out every message of `queue` that was parked, oldest first.
    ///
    /// # Errors
    /// [`BrokerError`] when the parked messages cannot be read.
    async fn take_parked(&self, queue: Queue) -> Result<VecDeque<Parked>, BrokerError>;
}

/// A stream of deliveries. Dropping it gives unsettled messages back.
#[async_trait]
pub trait Consumer: Send {
    /// The next message; waits for one. `None` once the broker is closed.
    async fn next(&mut self) -> Option<Delivery>;
}

/// One message, taken but not settled.
pub struct Delivery {
    /// What was taken.
    pub message: Message,
    /// Whether somebody took it before and did not settle it.
    pub redelivered: bool,
    settlement: Box<dyn Settlement>,
}

impl Delivery {
    /// A delivery whose end is decided by `settlement`; for implementations of [`Broker`].
    pub fn new(message: Message, redelivered: bool, settlement: Box<dyn Settlement>) -> Self {
        Self {
            message,
            redelivered,
            settlement,
        }
    }

    /// The work is done: forget the message.
    ///
    /// # Errors
    /// [`BrokerError`]: the message may come again.
    pub async fn ack(self) -> Result<(), BrokerError> {
        self.settlement.ack().await
    }

    /// Deliver `next` instead, but not before `delay` has passed.
    ///
    /// # Errors
    /// [`BrokerError`]: the old message may come again, `next` as well.
    pub async fn retry_later(self, next: Message, delay: Duration) -> Result<(), BrokerError> {
        self.settlement.retry_later(next, delay).await
    }

    /// Put the message aside for a person to look at.
    ///
    /// # Errors
    /// [`BrokerError`]: the message may come again.
    pub async fn park(self, reason: String) -> Result<(), BrokerError> {
        self.settlement
            .park(Parked {
                message: self.message,
                reason,
            })
            .await
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("headers", &self.message.headers)
            .field("redelivered", &self.redelivered)
            .finish_non_exhaustive()
    }
}

/// How one delivery ends; dropping it unsettled gives the message back.
#[async_trait]
pub trait Settlement: Send {
    /// See [`Delivery::ack`].
    async fn ack(self: Box<Self>) -> Result<(), BrokerError>;
    /// See [`Delivery::retry_later`].
    async fn retry_later(
        self: Box<Self>,
        next: Message,
        delay: Duration,
    ) -> Result<(), BrokerError>;
    /// See [`Delivery::park`].
    async fn park(self: Box<Self>, parked: Parked) -> Result<(), BrokerError>;
}
