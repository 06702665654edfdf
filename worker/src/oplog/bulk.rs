//! Loads a first checkpoint in bulk.

mod keys;
pub(crate) mod loader;
