//! The table `runs`: what is shown of them (`report`), and their life from the lease to the end (`lifecycle`).

mod lifecycle;
mod report;

pub(super) use lifecycle::{reopen_run, run_state};
pub use report::{RunCursor, RunReport, Totals, WayCount};
