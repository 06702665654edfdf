//! Applies events of workers: one transaction that writes `jobs` and `snapshots`, for a batch of events.
//!
//! In: events, each possibly again, late or out of order. Out: what each of them changed. A kill before the commit
//! leaves nothing, and the broker delivers the events again. An event counts at most once. Of a batch, those of different
//! stores that bring nothing unusual are written together, with a few statements for all of them (`together`); the others
//! one by one (`one`), which is the rule that `together` keeps.

mod applied;
mod apply;
mod one;
mod together;

pub use applied::Applied;
