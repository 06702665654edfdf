//! Keeps catalog and object storage in agreement: `gc`, `rebuild-catalog`, `verify`.

pub mod gc;
pub mod rebuild;
pub mod verify;
