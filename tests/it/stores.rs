//! Object storage: a directory, S3, Azure Blob Storage, Google Cloud Storage.

mod azure;
mod compatible;
mod contract;
mod refusals;
mod sealed;
mod worker;
