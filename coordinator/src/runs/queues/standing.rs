//! Whether the jobs that wait are taken by anybody.

use std::fmt;

use seedbed_protocol::broker::{Broker, BrokerError, Queue};
use serde::Serialize;

/// The queue of jobs at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Standing {
    /// Jobs that wait in it, without those that wait for a retry.
    pub waiting: u64,
    /// Workers that take jobs from it.
    pub consumers: u64,
}

impl Standing {
    /// Asks `broker`.
    ///
    /// # Errors
    /// [`BrokerError`] when it does not answer.
    pub async fn of(broker: &dyn Broker) -> Result<Self, BrokerError> {
        Ok(Self {
            waiting: broker.waiting(Queue::Jobs).await?,
            consumers: broker.consumers(Queue::Jobs).await?,
        })
    }

    /// Returns how many jobs wait while no worker takes any.
    pub fn untaken(self) -> Untaken {
        Untaken(if self.consumers == 0 { self.waiting } else { 0 })
    }
}

/// How many jobs wait while no worker takes any. Shown as a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Untaken(pub u64);

impl fmt::Display for Untaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("1 job is waiting and no worker takes any"),
            jobs => write!(f, "{jobs} jobs are waiting and no worker takes any"),
        }
    }
}
