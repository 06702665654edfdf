//! The table `jobs`: from listing to the end (`pending`), retry and cancel (`retry`), and what is shown (`record`; failures by
//! reason, `reasons`).
//! The table `workers`: who takes jobs (`workers`).
//!
//! In: jobs that were published, that expire, that are retried or cancelled. Out: rows of `jobs`. The states are in `state.rs`;
//! a diagram of their transitions is in the catalog's `README.md`. Events of workers are applied in `events.rs`. Each change is
//! one transaction: a kill leaves it made or not made.

mod asked;
mod dead;
mod lost;
mod pending;
mod reasons;
mod record;
mod retry;
mod timeline;
mod waits;
mod workers;

pub use dead::DeadJob;
pub use lost::Awaited;
pub(super) use pending::{CLASS_SHIFT, claims};
pub use pending::{PendingJob, QueuedJob};
pub use reasons::{FailureExample, FailureGroup, FailuresOf};
pub use record::{FailedJob, JobCursor, JobFailure, JobFilter, JobRecord, NewestAttempt};
pub(super) use record::{JOB_COLUMNS, job};
pub use retry::{FailedJobs, Retried};
pub use timeline::TimedJob;
pub(super) use timeline::stored_steps;
pub use waits::ServiceWait;
pub use workers::WorkerRecord;
