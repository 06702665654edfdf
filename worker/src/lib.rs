//! Takes seed jobs and turns each into one verified snapshot in the snapshot store.
//!
//! ```text
//! SeedJob ─▶ service ─▶ seed ─▶ sync ─▶ scrub ─▶ vacuum ─▶ verify ─▶ upload ─▶ SeedEvent, then ack
//!                               │ ▲                                     │
//!                 token, stream │ │ database (powersync_core)           └─▶ SnapshotStore
//!                               ▼ │
//!                        PowerSync service
//! ```

mod metrics;
pub mod oplog;
pub mod powersync;
pub mod program;
pub mod progress;
pub mod seed;
pub mod service;
pub mod settings;
pub mod snapshot;

pub use oplog::{line, log as database, operations, schema::tables as schema};
pub use powersync::{client as stream, framing as line_buffer, token};
pub use seed::error;
pub use service::worker::{Probe, Shutdown, Worker};
pub use settings as config;
pub use snapshot::verify::file as verify;
