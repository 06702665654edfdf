//! Starts runs without a command: by the schedule (`schedule`), for clients that ask for a missing snapshot (`demand`), and
//! when the sync config has changed (`reseed`), in the order in which clients asked (`asked`).
//!
//! In: `serve.schedule` and `GET /database`. Out: runs in the catalog, which the supervisor publishes. A kill loses on-demand
//! requests, which devices repeat; a scheduled time is claimed in the catalog, so one process starts its run.

mod asked;
mod demand;
mod reseed;
mod schedule;

pub use self::{
    asked::Asked,
    demand::{Answer, Demand},
    reseed::Reseeder,
    schedule::keep_schedule,
};
