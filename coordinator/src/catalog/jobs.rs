//! The table `jobs`: from listing to the end (`pending`), retry and cancel (`retry`), and what is shown (`record`).
//!
//! The states and their transitions are in `state.rs`. Events of workers are applied in `events.rs`.

mod pending;
mod record;
mod retry;

pub(super) use pending::claims;
pub use pending::{PendingJob, QueuedJob};
pub use record::{FailedJob, JobCursor, JobFailure, JobFilter, JobRecord, NewestAttempt};
pub(super) use record::{JOB_COLUMNS, job};
pub use retry::Retried;
