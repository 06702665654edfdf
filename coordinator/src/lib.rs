//! The coordinator: lists the stores, has workers seed them, and keeps the catalog.
//!
//! ```text
//!   source ──▶ runs ──── SeedJob ───▶ Queue::Jobs ──▶ worker
//!                │ ▲                                    │
//!                ▼ └──────────── SeedEvent ◀── Queue::Events
//!             catalog ◀── upkeep (gc, verify)
//!                │
//!                └──▶ http (downloads, API, dashboard), cli (progress, status)
//! ```
//!
//! Rooms, the lowest floor first; each uses only lower floors, those above it in this list:
//!
//! * `outage`: which errors of databases pass.
//! * [`catalog`], [`settings`], `metrics`.
//! * [`source`]: the list of stores. [`upkeep`]: garbage collection, rebuilding, verifying, planning.
//! * [`runs`]: lists, publishes, records, controls and supervises.
//! * [`http`]: the server.
//! * [`programs`]: a server, a command on a cluster, everything in one process.
//! * [`cli`]: the program `seedbed`, and all that it prints.
//!
//! `README.md` next to this folder follows a store and a download through them.

#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod catalog;
pub mod cli;
pub mod http;
mod metrics;
mod outage;
pub mod programs;
pub mod runs;
pub mod settings;
pub mod source;
pub mod upkeep;
