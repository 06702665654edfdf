//! PowerSync's operations in SQLite, behind one door.

mod bulk;
mod checkpoint;
mod checksum;
mod core;
pub mod line;
pub mod log;
pub mod operations;
mod schema;
mod sqlite;
mod writer;

pub use checkpoint::{CheckpointDiffLine, CheckpointLine, TargetCheckpoint};
pub use log::{SyncDatabase, SyncedDatabase, last_ops};
pub use schema::{GivenSchema, RawTable, Schema, SchemaError};
pub use sqlite::{DatabaseError, InterruptOnDrop, core_version, initialize, open, open_in_memory};
pub(crate) use sqlite::{load_core_extension, quoted};
pub use writer::{Applied, SyncStart};
