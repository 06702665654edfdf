//! Object storage: a directory, S3, Azure Blob Storage or Google Cloud Storage behind one type, [`ObjectStorage`].
//!
//! In: a URL and the environment, files and keys. Out: objects with their size and SHA-256, or an error that says
//! what to change. An object appears under its key only when all of it is there. Before that, a directory holds it
//! under a staging name that ends in `#` and a number, and a service holds parts that no one can read; that is what a
//! kill leaves, and [`ObjectStorage::delete_starting`] or a lifecycle rule removes it. Knows no snapshot: keys and
//! contents are the caller's.

mod compression;
mod directory;
mod download;
mod error;
mod open;
mod place;
mod replace;
mod services;
mod spans;
mod storage;
mod transfer;
mod upload;

pub use compression::{unwrap, unwrap_to, wrap};
pub use error::StorageError;
pub use open::check_url;
pub use replace::Version;
pub use storage::{
    CHECK_CONTENT, CheckObject, Conditions, Limitations, ObjectStorage, StoredObject,
};
pub use transfer::PART_BYTES;
