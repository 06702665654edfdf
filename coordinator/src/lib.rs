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
pub mod check;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod demand;
pub mod events;
mod follow;
pub mod http;
pub mod local;
mod metrics;
pub mod operator;
pub mod progress;
pub mod publish;
pub mod rebuild;
pub mod requeue;
pub mod retention;
pub mod run;
pub mod schedule;
pub mod serve;
pub mod show;
pub mod stores;
pub mod template;
pub mod tend;
pub mod verify;
