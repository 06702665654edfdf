//! Starts runs without a command: by the schedule (`schedule`), and for clients that ask for a missing snapshot (`demand`).
//!
//! In: `serve.schedule` and `GET /database`. Out: runs in the catalog, which the supervisor publishes. A kill loses on-demand
//! requests, which devices repeat; a scheduled time is claimed in the catalog, so one process starts its run.

mod demand;
mod schedule;

pub use self::{
    demand::{Answer, Demand},
    schedule::keep_schedule,
};
