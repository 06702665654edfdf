//! What comes of an attempt at a job, and of the parts of one.

use seedbed_protocol::{
    manifest::{Checkpoint, Download, FullReason, Manifest},
    message::BaseSnapshot,
};

use crate::{
    seed::workdir::JobDirectory,
    snapshot::{SnapshotFiles, verify::FileFacts},
};

/// The result of a job.
#[derive(Debug)]
pub(crate) enum Seeded {
    /// A new snapshot is in the repository.
    Snapshot(Box<Manifest>),
    /// The base is what the service holds.
    Unchanged {
        base: Box<BaseSnapshot>,
        checkpoint: Checkpoint,
        download: Download,
    },
}

/// The result of reusing a base.
pub(super) enum Reused {
    Unchanged(Checkpoint),
    Verified(Box<VerifiedFile>),
    Nothing(FullReason),
}

/// A file that passed verification.
pub(super) struct VerifiedFile {
    /// Removes its files when it is dropped.
    pub(super) _directory: JobDirectory,
    /// What is stored, in that directory.
    pub(super) files: SnapshotFiles,
    /// Operations that were applied since the file was last written in order.
    pub(super) loose_operations: u64,
    pub(super) checkpoint: Checkpoint,
    pub(super) facts: FileFacts,
    /// What a person should know of it.
    pub(super) notes: Vec<String>,
}
