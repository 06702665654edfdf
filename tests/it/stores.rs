//! Object storage: a directory, S3, Azure Blob Storage, Google Cloud Storage.

mod contract;
mod refusals;
mod worker;
