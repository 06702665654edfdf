//! The table of jobs: those on their way, those that are shown, and those that start over or never start.

mod pending;
mod record;
mod retry;

pub(super) use pending::claims;
pub use pending::{PendingJob, QueuedJob};
pub use record::{FailedJob, JobCursor, JobFailure, JobFilter, JobRecord, NewestAttempt};
pub(super) use record::{JOB_COLUMNS, job};
pub use retry::Retried;
