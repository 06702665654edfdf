//! Progress as numbers: how far runs are at one moment, and how they ended.

use std::time::Duration;

use seedbed_protocol::RunId;
use serde::Serialize;

use crate::{
    catalog::{Applied, FailedJob, Totals},
    runs::queues::Untaken,
};

/// The jobs of some runs, by how far they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Jobs of the runs.
    pub stores: u64,
    /// Those with a verified snapshot.
    pub seeded: u64,
    /// Those that failed for good.
    pub failed: u64,
    /// Those that were abandoned or cancelled, and those in quarantine whose probe failed.
    pub dropped: u64,
    /// Operations that the seeded ones downloaded; known only in the process that records their events.
    pub operations: u64,
}

impl Counts {
    /// Counts what events have changed.
    pub fn add(&mut self, applied: &[Applied]) {
        for applied in applied {
            match applied {
                Applied::Seeded { operations, .. } => {
                    self.seeded += 1;
                    self.operations += operations;
                }
                Applied::Unchanged => self.seeded += 1,
                Applied::Failed => self.failed += 1,
                Applied::Noted | Applied::Ignored | Applied::UnknownJob => {}
            }
        }
    }

    /// Jobs that have ended, with or without success.
    pub fn ended(&self) -> u64 {
        self.seeded + self.failed + self.dropped
    }

    /// Returns whether every job has ended.
    pub fn done(&self) -> bool {
        self.ended() >= self.stores
    }
}

impl From<Totals> for Counts {
    fn from(totals: Totals) -> Self {
        Self {
            stores: totals.stores,
            seeded: totals.seeded,
            failed: totals.failed,
            dropped: totals.abandoned + totals.cancelled + totals.quarantined,
            operations: 0,
        }
    }
}

/// How far some runs are at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Their jobs.
    pub counts: Counts,
    /// Rows of the seeded stores, unchanged ones included. In `seedbed local` also what has arrived of those in flight.
    pub rows: u64,
    /// Rows that are left, as far as they are known or can be guessed, see [`Totals::rows_left`].
    pub rows_left: u64,
    /// In `seedbed local`, bytes of streams that were downloaded so far, decompressed; on a cluster, bytes of the snapshots of
    /// the seeded stores.
    pub bytes: u64,
    /// Jobs that wait while no worker takes any, on a cluster.
    pub untaken: Untaken,
}

impl From<Totals> for Progress {
    fn from(totals: Totals) -> Self {
        Self {
            counts: totals.into(),
            rows: totals.rows,
            rows_left: totals.rows_left,
            bytes: totals.bytes,
            untaken: Untaken::default(),
        }
    }
}

/// How runs ended.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// The run; of several, the first.
    pub run_id: RunId,
    /// What its jobs add up to.
    #[serde(flatten)]
    pub totals: Totals,
    /// How long it took, from its start to its last job's end.
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub elapsed: Duration,
    /// Rows in a second of that; `None` if it was too short to tell.
    pub rows_per_second: Option<u64>,
    /// The failed stores, at most as many as the observer wants named.
    pub failures: Vec<FailedJob>,
}

fn seconds<S: serde::Serializer>(elapsed: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(elapsed.as_secs_f64())
}
