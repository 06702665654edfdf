//! Where snapshots live: a job becomes keys, a manifest becomes JSON.
//!
//! In: the SQLite file of a job and its manifest. Out: `<store>/<job>-<attempt>-<random>.sqlite` (or
//! `.sqlite.gz`, `.compact.sqlite.gz` and the like),
//! and `….json` written after the files that it names, so a manifest is the sign that a snapshot is whole. Nothing is
//! ever overwritten: a [`SnapshotName`] belongs to one delivery of one attempt. Only the copies below `latest/` are
//! replaced ([`SnapshotRepository::put_latest`]). A kill leaves files without a manifest, which are orphans for
//! `seedbed gc`, and what [`crate::objects`] leaves.

mod config;
mod latest;
mod name;
mod repository;
mod sealing;

pub use config::{SnapshotsConfig, UnreadableRowsPolicy};
pub use name::{SnapshotName, SnapshotPart, keys_of, latest_key, manifest_key};
pub use repository::{Removed, SealedError, SnapshotObject, SnapshotRepository};
pub use sealing::{SealingError, SealingKeys, SnapshotKey};

pub use crate::{
    digest::Hashed as Fetched,
    objects::{CHECK_CONTENT, PART_BYTES, StorageError, unwrap, unwrap_to, wrap},
};
