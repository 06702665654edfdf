//! What coordinator and worker say to each other, and nothing else.
//!
//! ```text
//!   coordinator ── SeedJob ──▶ Queue::Jobs ──▶ worker
//!        ▲                                       │ snapshot + Manifest ──▶ SnapshotStore
//!        └────── Queue::Events ◀── SeedEvent ────┘
//! ```
//!
//! A message is a body ([`codec`]: bincode behind a magic byte and a version) and headers that carry the
//! W3C trace context. [`broker`] states the delivery contract and has the in-memory implementation;
//! [`snapshots`] names, writes and reads the objects that both sides know, and [`settings`] reads the file that
//! configures both.

pub mod broker;
pub mod codec;
pub mod ids;
pub mod json;
pub mod message;
pub mod settings;
pub mod snapshots;
pub mod telemetry;
pub mod template;
pub mod trace;

pub use ids::{Attempt, InvalidStoreId, JobId, OpId, RunId, StoreId};
pub use json::JsonObject;
