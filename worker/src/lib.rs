//! Takes seed jobs and turns each into one verified snapshot in the repository.
//!
//! ```text
//! SeedJob ─▶ service ─▶ seed ─▶ sync ─▶ scrub ─▶ vacuum ─▶ verify ─▶ upload ─▶ SeedEvent, then ack
//!                               │ ▲                                     │
//!                     powersync │ │ oplog (powersync_core)              └─▶ repository
//!                               ▼ │
//!                        PowerSync service
//! ```
//!
//! Rooms, from the ground up; each uses only earlier ones: `settings`, `metrics`, `backoff` < [`powersync`] <
//! [`oplog`] < `buckets`, [`snapshot`] < [`seed`] < [`service`] < [`program`].

#![warn(clippy::print_stdout, clippy::print_stderr)]

mod backoff;
pub mod buckets;
mod metrics;
pub mod oplog;
pub mod powersync;
pub mod program;
pub mod seed;
pub mod service;
pub mod settings;
pub mod snapshot;

pub use backoff::Backoff;
pub use metrics::Counters;
pub use service::{Probe, Shutdown, Worker};
