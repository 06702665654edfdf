//! What both programs share: the messages between them, and how they reach broker, object storage, snapshots, settings
//! and telemetry.
//!
//! ```text
//!   coordinator ── SeedJob ──▶ Queue::Jobs ──▶ worker
//!        ▲                                       │ snapshot + Manifest ──▶ SnapshotRepository
//!        └────── Queue::Events ◀── SeedEvent ────┘
//! ```
//!
//! Rooms, from the ground up; each uses only those above it in this list:
//!
//! * [`error`], [`digest`], [`ids`]: error texts, and [`text`] that is safe to show; hashes, ids.
//! * [`manifest`]: what a snapshot holds, and how it was made.
//! * [`message`]: jobs and events, and their [`message::codec`]. [`settings`]: the file that configures both programs, and the keys that it names.
//!   [`telemetry`]: logs, traces and metrics. [`process`]: signals, exit codes, HTTP clients.
//! * [`objects`]: object storage.
//! * [`snapshots`]: the objects of snapshots and their names. [`broker`]: the delivery contract, in memory and on
//!   RabbitMQ.

#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod broker;
pub mod digest;
pub mod error;
pub mod ids;
pub mod manifest;
pub mod message;
pub mod objects;
pub mod process;
pub mod settings;
pub mod snapshots;
pub mod telemetry;

pub use error::text;
pub use ids::{Attempt, InvalidStoreId, JobId, OpId, RunId, StoreId};
pub use message::JsonObject;
