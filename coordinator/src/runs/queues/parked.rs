//! Counts what is parked: jobs that failed for good, which the catalog knows, and messages that no program here can read
//! or apply.

use seedbed_protocol::broker::{Broker, Queue};
use serde::Serialize;

use crate::{catalog::Catalog, runs::error::RunError};

/// What is parked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Parked {
    /// Jobs that failed for good, which `seedbed retry` starts over.
    pub jobs: u64,
    /// Messages in the queue of parked jobs. Those of jobs that the catalog knows are soon removed by a coordinator; what
    /// stays cannot be read, or is of another catalog.
    pub messages: u64,
    /// Events that cannot be read or applied.
    pub events: u64,
}

impl Parked {
    /// Asks `broker`, and counts up to `most` jobs in `catalog`.
    ///
    /// # Errors
    /// [`RunError`] when one of them does not answer.
    pub async fn of(catalog: &Catalog, broker: &dyn Broker, most: i64) -> Result<Self, RunError> {
        Ok(Self {
            jobs: catalog.parked_jobs(most).await?,
            messages: broker.waiting(Queue::ParkedJobs).await?,
            events: broker.waiting(Queue::ParkedEvents).await?,
        })
    }
}
