//! Decodes the operations of a data line, for the engine.
//!
//! - In: a data line as it came. Out: a [`Batch`] that borrows nothing, so that it can go to another thread, or the
//!   reason why the core extension has to take the line: what it would refuse, or treat in a special way, is not decoded.
//! - A kill leaves nothing: this is only memory.

mod batch;
mod bson;
mod decode;
mod entry;
mod json;

pub use batch::{Batch, Change, Operation, Reason, RowKey, Text};
pub use decode::decode;
