//! The worker as a service: takes jobs, settles them, reports, and stops cleanly.
//!
//! - In: deliveries from the broker's queue of jobs, and a [`Shutdown`].
//! - Out: one event for each start and each result, and then the settlement of the delivery.
//! - A kill leaves an unsettled delivery, which the broker delivers again; after too many returns the job is parked.
//!
//! `worker` takes, `settle` works on one delivery, `retry` decides about failed ones, `report` publishes events,
//! `presence` says that the worker is there.

mod health;
mod identity;
mod presence;
mod report;
mod retry;
mod settle;
mod worker;

pub use health::HealthServer;
pub use worker::{Probe, Shutdown, Worker};
