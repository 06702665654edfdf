//! Private object stores: S3 in this process, MinIO, Azurite and a Google Cloud Storage emulator as programs of
//! their own. Each is reached through [`Faults`], and lets anyone read its bucket by plain HTTP.

mod azurite;
mod faults;
mod gcs;
mod minio;
mod proxy;
mod s3;
mod server;

pub use self::{
    azurite::{PRIVATE, azurite_sas},
    faults::Faults,
    server::ObjectServer,
};
