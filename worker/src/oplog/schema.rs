//! The tables of a snapshot.
//!
//! - In: a schema file, or the rows themselves when there is none.
//! - Out: a [`Schema`] that creates the tables in a database and tells the core extension of them.
//! - A kill leaves nothing: databases for trial are in memory.

mod file;
mod inferred;
mod raw;
mod tables;

pub use file::SchemaError;
pub(super) use inferred::Inference;
pub use raw::RawTable;
pub use tables::{GivenSchema, Schema};
