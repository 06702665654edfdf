//! One job: from a store's claims to a verified snapshot in the repository.
//!
//! - In: a `SeedJob`, perhaps with a base, the store's live snapshot.
//! - Out: the manifest of a new snapshot, or that the base is unchanged; else a [`SeedError`] that says whether to
//!   retry.
//! - A kill leaves a directory without its lock, which the next process removes, and perhaps objects without a manifest, which
//!   `seedbed gc` removes. Nothing refers to either.
//!
//! Read `job` first: it is the whole job from top to bottom. `base` decides what can be reused, `download` syncs,
//! `streams` resumes what breaks off, `forms` makes what else is stored of a file.

mod base;
mod config_error;
mod download;
mod download_error;
mod error;
mod forms;
mod job;
mod patience;
mod sample;
mod steps;
mod streams;
mod workdir;

pub use config_error::ConfigError;
pub use download_error::DownloadError;
pub use error::SeedError;
pub(crate) use job::{Seeded, Seeder};
pub(crate) use steps::{StepTimes, step};
pub use workdir::{WorkDirectoryError, available_space};
