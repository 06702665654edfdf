//! Checks a finished file before any client can download it.
//!
//! - In: a file, and the checkpoint that it should be at.
//! - Out: facts about the file, or the first thing that is wrong with it.
//! - A kill leaves nothing: the file is only read.
//!
//! A client finds a wrong bucket checksum only at its first checkpoint, and a wrong or missing row in `ps_data__*`
//! never: an error that is not found here is not found at all. That is why this shares no code with the room that
//! wrote the file, but for opening SQLite.

mod changed;
mod checksums;
mod error;
mod facts;
mod file;
mod identity;
mod operations;
mod pages;
mod readable;
mod rows;
mod sql;
mod whole;

pub use error::VerifyError;
pub use facts::{Expected, FileFacts};
pub use file::{Abandon, SnapshotFile, verify_file};
pub(super) use identity::check_traces;
pub use readable::UnreadableRows;
