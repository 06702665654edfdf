//! Takes seed jobs and turns each into one verified snapshot in the snapshot store.
//!
//! ```text
//! SeedJob ─▶ service ─▶ seed ─▶ sync ─▶ scrub ─▶ vacuum ─▶ verify ─▶ upload ─▶ SeedEvent, then ack
//!                               │ ▲                                     │
//!                 token, stream │ │ database (powersync_core)           └─▶ SnapshotStore
//!                               ▼ │
//!                        PowerSync service
//! ```

pub mod config;
pub mod database;
pub mod error;
mod gate;
pub mod health;
pub mod line;
pub mod line_buffer;
mod load;
mod metrics;
pub mod operations;
pub mod program;
pub mod progress;
mod reuse;
pub mod schema;
mod seed;
pub mod service;
pub mod snapshot;
mod step;
pub mod stream;
pub mod sync;
pub mod token;
mod upload;
pub mod verify;
pub mod workdir;

pub use service::{Probe, Shutdown, Worker};
