//! Lists a run: one transaction that writes `stores`, `runs` and `jobs`, all together or not at all.
//!
//! In: [`Sweep`] and a store at a time, streamed. Out: the run with its jobs, and what was skipped. A kill before
//! [`Listing::commit`] leaves nothing. The lock of listings is held until then: two lists cannot give a store two jobs.

mod entry;
mod lookup;
mod options;
mod turn;
mod write;

pub use options::{Covers, Download, InFlight, Listed, Sweep};
pub use write::Listing;
