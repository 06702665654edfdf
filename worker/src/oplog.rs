//! PowerSync's operations in SQLite.

pub(crate) mod bulk;
pub mod line;
pub mod log;
pub mod operations;
pub mod schema;
