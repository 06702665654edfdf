//! Which workers are there: takes their heartbeats and records them in the catalog.
//!
//! All coordinators share one queue of heartbeats, and whichever takes one writes it where all of them, and `seedbed
//! status`, read. A queue for each coordinator would show nothing to a command that has just started. A heartbeat that
//! is lost costs nothing, since the next one comes soon.

use std::{sync::Arc, time::Duration};

use seedbed_protocol::{
    broker::{Broker, Delivery, Queue},
    message::Heartbeat,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::messages::{fill_batch, take_page};
use crate::{catalog::Catalog, runs::error::RunError};

/// Heartbeats in one statement.
const HEARTBEAT_BATCH: u16 = 256;

/// Pause before consuming again after a failure.
const RETRY_PAUSE: Duration = Duration::from_secs(2);

/// Records which workers are there.
pub struct Fleet {
    catalog: Catalog,
    broker: Arc<dyn Broker>,
}

impl Fleet {
    /// Takes heartbeats from `broker` and records them in `catalog`.
    pub fn new(catalog: Catalog, broker: Arc<dyn Broker>) -> Self {
        Self { catalog, broker }
    }

    /// Records heartbeats until `stop` is cancelled. Whatever fails is tried again: nothing else depends on it.
    pub async fn run(&self, stop: &CancellationToken) {
        let recording = async {
            loop {
                if let Err(error) = self.record().await {
                    warn!("which workers are there is recorded later: {error}");
                }
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = recording => {}
        }
    }

    /// Records the heartbeats that wait now, so that the caller knows the workers of now.
    ///
    /// # Errors
    /// [`RunError`] when the catalog or the broker fails.
    pub async fn catch_up(&self) -> Result<(), RunError> {
        let mut left = self.broker.waiting(Queue::Workers).await?;
        while left > 0 {
            let page = take_page(self.broker.as_ref(), Queue::Workers, left).await?;
            if page.is_empty() {
                break;
            }
            left = left.saturating_sub(page.len() as u64);
            self.apply(page).await?;
        }
        Ok(())
    }

    async fn record(&self) -> Result<(), RunError> {
        let mut consumer = self.broker.consume(Queue::Workers, HEARTBEAT_BATCH).await?;
        while let Some(first) = consumer.next().await {
            let batch = fill_batch(first, consumer.as_mut(), HEARTBEAT_BATCH);
            self.apply(batch).await?;
        }
        Ok(())
    }

    async fn apply(&self, batch: Vec<Delivery>) -> Result<(), RunError> {
        let read = |delivery: &Delivery| {
            let heartbeat = delivery.message.decode::<Heartbeat>();
            heartbeat
                .inspect_err(|error| debug!("a heartbeat is dropped: {error}"))
                .ok()
        };
        let heartbeats: Vec<Heartbeat> = batch.iter().filter_map(read).collect();
        if !heartbeats.is_empty() {
            self.catalog.record_heartbeats(&heartbeats).await?;
        }
        for delivery in batch {
            delivery.ack().await?;
        }
        Ok(())
    }
}
