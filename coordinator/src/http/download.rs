//! Where a client gets its snapshot.

pub mod database;
pub mod files;
pub mod signed_url;
