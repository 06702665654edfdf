//! From a synced database to a verified, stored file.

pub mod finish;
pub(crate) mod upload;
pub mod verify;

pub use finish::{scrub, vacuum_into};
