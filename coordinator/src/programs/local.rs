//! `seedbed local`: everything in one process. Lists the stores, publishes their jobs in memory, works on them, and
//! records the results, with an embedded broker and catalog.
//!
//! In: a list of stores and a sweep. Out: snapshots in the object storage, and a catalog. A directory of data has one such
//! process at a time. Jobs that a killed one left in flight are abandoned by the next one before it starts, together
//! with what was uploaded for them.

mod background;
mod error;
mod lock;
mod process;

pub use self::{
    error::LocalError,
    lock::LockError,
    process::{Local, LocalOutcome},
};
