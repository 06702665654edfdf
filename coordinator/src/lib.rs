//! The coordinator: knows which stores there are, has each of them seeded, and keeps the catalog.
//!
//! ```text
//!   stores ──▶ run ──── SeedJob ───▶ Queue::Jobs ──▶ worker
//!               │                                      │
//!               ▼                                      ▼
//!            catalog ◀── events ◀── SeedEvent ── Queue::Events
//!               │
//!               └──▶ progress, status, snapshots, verify
//! ```
//!
//! [`stores`] streams the list of stores, [`run`] records a job for each in the [`catalog`] and publishes
//! them, and [`events`] writes what the workers report back into the catalog. [`local`] puts all of it and a
//! worker into one process. [`cli`] is the program `seedbed`.

pub mod catalog;
pub mod cli;
pub mod http;
mod metrics;
pub mod programs;
pub mod runs;
pub mod settings;
pub mod source;
pub mod upkeep;
