//! The table `runs`: what is shown of them (`report`, `totals`, `ended`; beside the run before, `comparison`), and their changes from the lease to the end (`lifecycle`);
//! and the claims of scheduled times, which become runs (`schedule`).
//!
//! In: runs that a listing or a retry adds. Out: rows of `runs`, totals and pages. Each change is one transaction: a kill leaves it
//! made or not made; a lease of a killed process expires.

mod comparison;
mod ended;
mod kind;
mod lifecycle;
mod report;
mod schedule;
mod totals;

pub use comparison::{NewFailure, RunComparison, ShortRunId, SlowerStore};
pub use ended::EndedRuns;
pub use kind::RunKind;
pub(super) use lifecycle::{NewRun, add_run, run_state};
pub use report::{RunCursor, RunReport, WayCount, per_second};
pub use schedule::ScheduleClaim;
pub(super) use schedule::end_claim;
pub use totals::Totals;
