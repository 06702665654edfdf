//! The delivery contract, the same in memory and on RabbitMQ.
//!
//! * A published message is safe once `publish` returns.
//! * A taken message stays with its consumer until it is settled: [`Delivery::ack`],
//!   [`Delivery::retry_later`], [`Delivery::hand_back`] or [`Delivery::park`]. A consumer that dies, or a
//!   delivery that is dropped, gives the message back, and the next delivery of it counts that as `returned`.
//! * Every settlement that keeps a message stores it anew before it settles the old delivery, so a crash in
//!   between duplicates a message rather than losing it.
//! * A job that came back unsettled [`RETURN_LIMIT`] times is delivered once more, so that its taker can
//!   park it with a reason; dropped even then, the broker itself parks it.
//! * Every message carries the W3C trace context of whoever published it first.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    Attempt, JobId, RunId, StoreId,
    codec::{self, Body, CodecError},
    message::{SeedEvent, SeedJob},
    trace::TraceContext,
};

pub mod amqp;
pub mod config;
pub mod memory;
pub mod spans;
mod topology;

pub use amqp::AmqpBroker;
pub use config::{BrokerConfig, BrokerUrl, connect};
pub use memory::MemoryBroker;
pub use spans::Peer;

/// How often a job may come back unsettled before nobody tries it any more: what kills its worker would
/// otherwise kill one after the other.
pub const RETURN_LIMIT: u32 = 5;

/// The same for messages that kill nobody: whoever is stopped gives back all that it holds. RabbitMQ 4 drops
/// what came back 20 times to a queue without a limit of its own
/// (<https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling>).
const NO_RETURN_LIMIT: u32 = 1_000_000_000;

/// Where messages wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Queue {
    /// Seed jobs, for workers.
    Jobs,
    /// Seed events, for the coordinator.
    Events,
    /// Jobs that were parked, for a person.
    ParkedJobs,
    /// Events that were parked, for a person.
    ParkedEvents,
}

impl Queue {
    /// Every queue.
    pub const ALL: [Self; 4] = [
        Self::Jobs,
        Self::Events,
        Self::ParkedJobs,
        Self::ParkedEvents,
    ];

    /// The queue's name on a broker.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jobs => "seed.jobs",
            Self::Events => "seed.events",
            Self::ParkedJobs => "seed.jobs.dead",
            Self::ParkedEvents => "seed.events.dead",
        }
    }

    /// Whether its messages can wait for a later try. Only jobs are tried later.
    pub const fn has_delays(self) -> bool {
        matches!(self, Self::Jobs)
    }

    /// How often a message may come back to this queue unsettled.
    const fn return_limit(self) -> u32 {
        match self {
            Self::Jobs => RETURN_LIMIT,
            Self::Events | Self::ParkedJobs | Self::ParkedEvents => NO_RETURN_LIMIT,
        }
    }

    /// Where this queue's messages are parked; a parked one stays where it is.
    pub const fn parking(self) -> Self {
        match self {
            Self::Jobs | Self::ParkedJobs => Self::ParkedJobs,
            Self::Events | Self::ParkedEvents => Self::ParkedEvents,
        }
    }
}

impl fmt::Display for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What travels beside a body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Headers {
    /// What the message is about, also for a reader who does not understand its body. `None` on what somebody
    /// else published.
    pub subject: Option<Subject>,
    /// The trace that the message belongs to.
    pub trace: TraceContext,
    /// Why it was parked, on a message in a parking queue.
    pub parked: Option<String>,
}

/// What a message is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The sweep.
    pub run_id: RunId,
    /// The job.
    pub job_id: JobId,
    /// The store.
    pub store_id: StoreId,
    /// The try.
    pub attempt: Attempt,
}

impl Subject {
    /// What `job`'s message is about.
    pub fn of(job: &SeedJob) -> Self {
        Self {
            run_id: job.run_id,
            job_id: job.job_id,
            store_id: job.scope.store_id.clone(),
            attempt: job.attempt,
        }
    }
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
        Self::about(Subject::of(job), job, trace)
    }

    /// The message for `event`.
    ///
    /// # Errors
    /// [`CodecError`] when the event is too large for a body.
    pub fn event(event: &SeedEvent, trace: TraceContext) -> Result<Self, CodecError> {
        let subject = Subject {
            run_id: event.run_id,
            job_id: event.job_id,
            store_id: event.store_id.clone(),
            attempt: event.attempt,
        };
        Self::about(subject, event, trace)
    }

    fn about(subject: Subject, body: &impl Body, trace: TraceContext) -> Result<Self, CodecError> {
        Ok(Self {
            body: codec::encode(body)?.into(),
            headers: Headers {
                subject: Some(subject),
                trace,
                parked: None,
            },
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
    /// A setting that makes no sense.
    #[error("{setting} {reason}")]
    Setting {
        /// Its name.
        setting: &'static str,
        /// What is wrong with its value, without the value.
        reason: String,
    },
    /// Nobody answers there, or not in AMQP.
    #[error(
        "cannot reach RabbitMQ at {broker} (broker.url): {reason}; check the address and that the server runs"
    )]
    Unreachable {
        /// The URL without its secrets.
        broker: String,
        /// What the network said.
        reason: String,
    },
    /// RabbitMQ, or the TLS handshake with it, turned the connection down.
    #[error("RabbitMQ at {broker} (broker.url) refused the connection: {reason}; {next}")]
    Refused {
        /// The URL without its secrets.
        broker: String,
        /// What was said.
        reason: String,
        /// What to do.
        next: &'static str,
    },
    /// A queue or an exchange that exists with other arguments, or that may not be declared.
    #[error("the {kind} {name} cannot be used: {reason}; {next}")]
    Topology {
        /// Queue or exchange.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What RabbitMQ said; names the argument.
        reason: String,
        /// What to do.
        next: String,
    },
    /// RabbitMQ turned down one request, for good.
    #[error(
        "RabbitMQ refused a request: {reason}; check the permissions of broker.url's user and RabbitMQ's log"
    )]
    Denied {
        /// What RabbitMQ said.
        reason: String,
    },
    /// The queue was gone, and again after it had been declared anew.
    #[error("RabbitMQ has no queue {queue}; is something else deleting it?")]
    Unroutable {
        /// The queue's name.
        queue: String,
    },
    /// The connection went away during a request.
    #[error("the connection to RabbitMQ was lost ({reason}); it is being restored")]
    Lost {
        /// How it ended.
        reason: String,
    },
    /// A delivery of a connection that is gone.
    #[error("the connection was lost after the message was taken; the message is delivered again")]
    Void,
    /// A later try in a queue without delays.
    #[error("messages of {queue} cannot wait for a later try; hand them back or park them")]
    NoDelays {
        /// The queue.
        queue: Queue,
    },
}

impl BrokerError {
    /// Whether somebody has to change a setting, or what it names.
    pub fn is_configuration(&self) -> bool {
        matches!(
            self,
            Self::Setting { .. }
                | Self::Refused { .. }
                | Self::Topology { .. }
                | Self::Denied { .. }
        )
    }

    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::Lost { .. } | Self::Void
        )
    }
}

/// Messages between coordinator and workers. See the module's contract.
#[async_trait]
pub trait Broker: Send + Sync + 'static {
    /// Stores `message` in `queue`; when this returns, it is safe. Waits while the queue is full. Many calls
    /// at once share one round trip.
    ///
    /// # Errors
    /// [`BrokerError`] when the message may not have been stored.
    async fn publish(&self, queue: Queue, message: Message) -> Result<(), BrokerError>;

    /// Starts to take messages from `queue`, at most `prefetch` unsettled ones at a time.
    ///
    /// # Errors
    /// [`BrokerError`] when the queue cannot be consumed.
    async fn consume(&self, queue: Queue, prefetch: u16) -> Result<Box<dyn Consumer>, BrokerError>;

    /// Takes the oldest message of `queue`, if there is one now.
    ///
    /// # Errors
    /// [`BrokerError`] when the queue cannot be read.
    async fn take(&self, queue: Queue) -> Result<Option<Delivery>, BrokerError>;

    /// How many messages wait in `queue`, without those that somebody holds or that wait for a later try.
    ///
    /// # Errors
    /// [`BrokerError`] when the queue cannot be asked.
    async fn waiting(&self, queue: Queue) -> Result<u64, BrokerError>;

    /// How many consumers `queue` has.
    ///
    /// # Errors
    /// [`BrokerError`] when the queue cannot be asked.
    async fn consumers(&self, queue: Queue) -> Result<u64, BrokerError>;

    /// Whether messages can be published and taken now; for a readiness endpoint.
    fn is_connected(&self) -> bool;

    /// What it is and where; for spans.
    fn peer(&self) -> Peer;

    /// Ends all consumers and refuses further messages. What is taken and not settled goes back.
    async fn close(&self);
}

/// A stream of deliveries. Dropping it gives back what was fetched for it and not handed out; what it has
/// handed out can still be settled. It outlives a lost connection.
#[async_trait]
pub trait Consumer: Send {
    /// The next message; waits for one. `None` once the broker is closed. Giving up waiting loses nothing.
    async fn next(&mut self) -> Option<Delivery>;
}

/// One message, taken but not settled.
pub struct Delivery {
    /// What was taken.
    pub message: Message,
    /// How often somebody took it before and did not settle it. RabbitMQ also counts what was on its way to a
    /// consumer that ended.
    pub returned: u32,
    settlement: Box<dyn Settlement>,
}

impl Delivery {
    /// A delivery whose end is decided by `settlement`; for implementations of [`Broker`].
    pub fn new(message: Message, returned: u32, settlement: Box<dyn Settlement>) -> Self {
        Self {
            message,
            returned,
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

    /// Deliver `next` instead, but not before `delay` has passed, or what the broker can delay if that is
    /// less.
    ///
    /// # Errors
    /// [`BrokerError`]: the old message may come again, `next` as well. [`BrokerError::NoDelays`] when the
    /// queue has none ([`Queue::has_delays`]).
    pub async fn retry_later(self, next: Message, delay: Duration) -> Result<(), BrokerError> {
        self.settlement.retry_later(next, delay).await
    }

    /// Let somebody else have it, now. Unlike a dropped delivery, it does not count as `returned`.
    ///
    /// # Errors
    /// [`BrokerError`]: the message may come twice.
    pub async fn hand_back(self) -> Result<(), BrokerError> {
        self.settlement
            .retry_later(self.message, Duration::ZERO)
            .await
    }

    /// Put the message aside for a person to look at: into [`Queue::parking`], with the reason.
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
    /// Stores `parked`, which says why, where the queue's messages are parked. See [`Delivery::park`].
    async fn park(self: Box<Self>, parked: Message) -> Result<(), BrokerError>;
}
