//! The contract of snapshot stores, on each kind: a directory, S3, Azure Blob Storage, Google Cloud Storage.

mod faults;
mod files;
mod latest;
