//! The catalog: stores, runs, jobs and snapshots, in SQLite or Postgres with the same queries.
//!
//! In: lists of stores ([`Listing`]), what workers report ([`Catalog::apply`]), and what publishers, retries,
//! cancellations and garbage collection do. Out: the jobs to publish, the live snapshot of a store, and all that
//! `status`, the API and the dashboard show. A kill leaves either all of a transaction or nothing of it.
//!
//! The contract:
//! * The jobs of a run are listed all together or not at all.
//! * Applying events is idempotent: an event that comes again, late or out of order changes nothing that must stay.
//! * Each store has at most one job in flight and at most one live snapshot. The snapshot of an earlier job
//!   never replaces that of a later one.
//! * Any number of processes may use a catalog at once. Writers of more than one row take a lock first, so that
//!   they cannot deadlock.
//! * What is committed survives a crash. What was not committed was not acknowledged to the broker either.
//!
//! The floors, from the ground: `state`, `database`, then a file or folder for each table (`quarantine`, `runs`,
//! `jobs`, `snapshots`, `stores`, `control`), then the two transactions that cross tables (`listing`, `events`). `README.md` in this
//! folder has the tables, the states and the recipes.

mod control;
mod database;
mod events;
mod history;
mod jobs;
mod listing;
mod quarantine;
mod reports;
mod runs;
mod snapshots;
mod state;
mod stores;

pub use control::{
    ApiToken, AuditCursor, AuditEntry, AuditId, Decided, Deed, Delivery, DueNotice, ForgottenRows,
    ForgottenSince, ForgottenStore, LoginSession, NewSession, NewToken, Notice, NoticeEvent, Role,
    Share, Shared, actor,
};
pub use database::{Catalog, CatalogError, Connections, Survey, file_of, name_of};
pub use events::Applied;
pub use history::{Aged, Forgotten, HistoryCursor};
pub use jobs::{
    Awaited, DeadJob, FailedJob, FailedJobs, FailureExample, FailureGroup, FailuresOf, JobCursor,
    JobFailure, JobFilter, JobRecord, NewestAttempt, PendingJob, QueuedJob, Retried, ServiceWait,
    TimedJob, WorkerRecord,
};
pub use listing::{Covers, Download, InFlight, Listed, Listing, Sweep};
pub use quarantine::{Failing, Held, HeldBy, Quarantine, QuarantinedStore};
pub use reports::{
    LaunchDay, LaunchGroup, LaunchReport, Outcome, Platform, Reason, Received, Stage,
};
pub use runs::{
    EndedRuns, NewFailure, RunComparison, RunCursor, RunKind, RunReport, ScheduleClaim, ShortRunId,
    SlowerStore, Totals, WayCount, per_second,
};
pub use snapshots::{
    ConfigChange, FreshCount, FreshnessHistory, FreshnessPromise, HandedOut, JobObjects,
    KnownFleet, Retention, SizeDay, SizeOrder, SizeTotals, SnapshotRecord, SnapshotRef,
    StaleLatest, StoreSize, Withdrawal, Withdrawn,
};
pub use state::{JobState, RunState, SnapshotState, UnknownState};
pub use stores::{Age, Freshness, StoreHistory, StoreRecord, StoreSearch};
