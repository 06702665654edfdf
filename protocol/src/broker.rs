//! Carries messages between coordinator and workers: [`Broker`], in memory and on RabbitMQ, under one contract.
//!
//! In: a [`Message`] for a [`Queue`]. Out: a [`Delivery`], which stays with its consumer until it is settled. A kill
//! loses nothing on RabbitMQ, and everything in memory. The contract:
//!
//! * A published message is safe once `publish` returns.
//! * A taken message stays with its consumer until it is settled: [`Delivery::ack`], [`Delivery::retry_later`],
//!   [`Delivery::hand_back`] or [`Delivery::park`]. A consumer that dies, or a delivery that is dropped, gives the
//!   message back, and the next delivery of it counts that as `returned`.
//! * Every settlement that keeps a message stores its copy before it settles the old delivery, so a crash in between
//!   duplicates a message rather than losing it: delivery is at least once.
//! * A job that came back unsettled [`RETURN_LIMIT`] times is delivered once more, so that its consumer can park it with
//!   a reason; dropped even then, the broker itself parks it.
//! * Every message carries the W3C trace context of its first publisher.

mod amqp;
mod config;
mod contract;
mod envelope;
mod error;
mod memory;
pub mod patience;
mod queue;
pub mod spans;
mod trouble;

use std::sync::Arc;

pub use amqp::{AmqpBroker, Survey, declared_queues, survey};
pub use config::{BrokerConfig, BrokerUrl};
pub use contract::{Broker, Consumer, Delivery, Peer, Settlement};
pub use envelope::{Headers, Message, Subject};
pub use error::BrokerError;
pub use memory::MemoryBroker;
pub use queue::{Queue, RETURN_LIMIT};
pub use trouble::Trouble;

/// Connects to the broker that `config` names.
///
/// # Errors
/// [`BrokerError`] names the setting and what to do: at once when RabbitMQ refuses, after
/// [`BrokerConfig::connect_timeout`] when it cannot be reached.
pub async fn connect(config: &BrokerConfig) -> Result<Arc<dyn Broker>, BrokerError> {
    match config.url.expose().scheme() {
        "memory" => Ok(Arc::new(MemoryBroker::default())),
        _ => Ok(Arc::new(AmqpBroker::connect(config).await?)),
    }
}

/// Connects to the broker that `config` names in the background, however long that takes: for a program that runs until
/// it is told to stop. What is asked of the broker before waits or fails as it does while a connection is lost.
///
/// # Errors
/// [`BrokerError::Setting`]. If RabbitMQ refuses the first connection for a reason that does not pass
/// ([`BrokerError::may_pass`]), every call returns that error.
pub fn start(config: &BrokerConfig) -> Result<Arc<dyn Broker>, BrokerError> {
    match config.url.expose().scheme() {
        "memory" => Ok(Arc::new(MemoryBroker::default())),
        _ => Ok(Arc::new(AmqpBroker::start(config)?)),
    }
}
