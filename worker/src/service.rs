//! Takes jobs, settles them, stops.

use std::sync::Arc;

use seedbed_protocol::{
    broker::{Broker, BrokerError},
    message::{Checkpoint, SeedJob},
    snapshots::SnapshotStore,
};
use tokio_util::sync::CancellationToken;

use crate::{config::WorkerSettings, progress::Progress};

/// Works on seed jobs.
pub struct Worker {}

/// What a service answered to a stream that was only opened.
pub struct Probe {
    /// The first checkpoint, before any data.
    pub checkpoint: Checkpoint,
}

/// Why something failed.
#[derive(Debug, thiserror::Error)]
pub enum StubError {}

impl Worker {
    /// Checks the settings, opens what they name, sweeps what a killed process left in the work directory.
    ///
    /// # Errors
    /// Names the setting that is wrong.
    pub fn new(
        _settings: &WorkerSettings,
        _snapshots: SnapshotStore,
        _broker: Arc<dyn Broker>,
    ) -> Result<Self, StubError> {
        Ok(Self {})
    }

    /// Counters of all jobs.
    pub fn progress(&self) -> Arc<Progress> {
        Arc::default()
    }

    /// Takes jobs until `stop` is cancelled; jobs in flight are then abandoned and go back to the queue.
    ///
    /// # Errors
    /// When the broker fails.
    pub async fn run(&self, stop: CancellationToken) -> Result<(), BrokerError> {
        stop.cancelled().await;
        Ok(())
    }

    /// Opens the stream that `job` would sync and reads its first checkpoint.
    ///
    /// # Errors
    /// What the job would fail with.
    pub async fn probe(&self, _job: &SeedJob) -> Result<Probe, StubError> {
        Ok(Probe {
            checkpoint: Checkpoint::default(),
        })
    }
}
