//! The heartbeat by which a worker says that it is there.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Says that a worker is there, and until when that holds without another heartbeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The worker's name, as in its events.
    pub worker: String,
    /// Its machine's name.
    pub host: String,
    /// Its version.
    pub version: String,
    /// Jobs that it works on at a time.
    pub slots: u16,
    /// Jobs that it works on now.
    pub busy: u16,
    /// When it started, by its own clock.
    pub started_at: DateTime<Utc>,
    /// How long after its arrival it counts, in milliseconds; 0 when the worker leaves.
    pub lifetime_millis: u64,
    /// Those of the jobs that it works on that wait until PowerSync has a stream for them (429). 0 by an older worker. Travels
    /// as a header: see [`Extras`](super::Extras).
    #[serde(skip)]
    pub waiting: u16,
}

impl Heartbeat {
    /// Returns how long after its arrival it counts.
    pub fn lifetime(&self) -> Duration {
        Duration::from_millis(self.lifetime_millis)
    }
}
