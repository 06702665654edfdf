//! PowerSync's operations in SQLite, behind one door: [`OpLog`].
//!
//! - In: a schema, what the job asks for, and the lines of one stream after the other.
//! - Out: the body of each request, what each line was, and at the end a database at one complete checkpoint.
//! - A kill leaves a file that nothing refers to. Only this job ever opens it, so nothing is journalled or fsynced.
//! - Knows nothing of HTTP, jobs or snapshots.
//!
//! ```text
//! line ─▶ log (accept) ─▶ line, operations: read once ─▶ channel ─▶ writer (a thread) ─▶ engine ─▶ a database
//!             └─▶ checkpoint: the target
//! ```
//!
//! The official core extension is linked in and driven as an SDK drives it. It is the engine's judge: whatever the engine
//! writes itself has to be what the core extension makes of the same lines.

mod checkpoint;
mod checksum;
mod depth;
mod engine;
mod line;
mod log;
mod operations;
mod rows;
mod schema;
mod sqlite;
mod writer;

pub use checkpoint::{CheckpointDiffLine, CheckpointLine, TargetCheckpoint};
pub use engine::{Applied, SyncOptions, Written};
pub use line::{LineKind, ReadLine};
pub use log::{Accepted, Complete, OpLog, OpLogError, Synced};
pub use operations::{Batch, Change, Operation, Reason, RowKey, Text, decode};
pub use schema::{GivenSchema, RawTable, Schema, SchemaError};
pub use sqlite::{DatabaseError, InterruptOnDrop, core_version, initialize, open, open_in_memory};
pub(crate) use sqlite::{load_core_extension, open_alone, quoted};
