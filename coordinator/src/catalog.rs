//! Stores, runs, jobs and snapshots, in SQLite or Postgres: the same queries for both.
//!
//! The contract:
//! * A run's jobs are listed all together or not at all ([`Listing`]).
//! * Applying an event again, late, or in another order than it happened changes nothing that should stay
//!   ([`Catalog::apply`]).
//! * Each store has at most one job in flight and at most one live snapshot. The snapshot of an earlier job
//!   never replaces that of a later one.
//! * Any number of processes may use a catalog at once. Those that write more than one row wait for each other,
//!   so that no two of them can be in each other's way.
//! * Whatever is committed survives a crash of the process. What was not committed was not acknowledged
//!   to the broker either.

mod database;
mod events;
mod jobs;
mod listing;
mod runs;
mod snapshots;
mod state;
mod stores;

pub use database::{Catalog, CatalogError, file_of, name_of};
pub use events::Applied;
pub use jobs::{
    FailedJob, JobCursor, JobFailure, JobFilter, JobRecord, NewestAttempt, PendingJob, QueuedJob,
    Retried,
};
pub use listing::{Covers, Download, InFlight, ListOptions, Listed, Listing};
pub use runs::{RunReport, Totals, WayCount};
pub use snapshots::{JobObjects, Retention, SnapshotRecord, SnapshotRef};
pub use state::{JobState, RunState, SnapshotState, UnknownState};
pub use stores::{Age, Freshness, StoreHistory, StoreRecord, StoreSearch};
