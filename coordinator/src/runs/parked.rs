//! Counts parked messages: jobs that failed for good, came back too often or cannot be read, and events that cannot be
//! read or applied.

use seedbed_protocol::broker::{Broker, BrokerError, Queue};
use serde::Serialize;

/// How many messages are parked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Parked {
    /// Jobs, which `seedbed retry` starts over.
    pub jobs: u64,
    /// Events that cannot be read or applied.
    pub events: u64,
}

impl Parked {
    /// Asks `broker`.
    ///
    /// # Errors
    /// [`BrokerError`] when it does not answer.
    pub async fn of(broker: &dyn Broker) -> Result<Self, BrokerError> {
        Ok(Self {
            jobs: broker.waiting(Queue::ParkedJobs).await?,
            events: broker.waiting(Queue::ParkedEvents).await?,
        })
    }
}
