//! What an event changed.

/// What an event changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// The job ended: it has a snapshot.
    Seeded {
        /// Rows of the snapshot.
        rows: u64,
        /// Bytes of the snapshot.
        bytes: u64,
        /// Operations that were downloaded for it.
        operations: u64,
    },
    /// The job ended: the live snapshot is still right.
    Unchanged,
    /// The job ended: it failed for good.
    Failed,
    /// The job is still in flight: the event was recorded.
    Noted,
    /// Nothing: the event was applied before, is older than what is known, or came too late.
    Ignored,
    /// Nothing: the catalog does not know the job.
    UnknownJob,
}

impl Applied {
    /// Returns its name in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Seeded { .. } => "seeded",
            Self::Unchanged => "unchanged",
            Self::Failed => "failed",
            Self::Noted => "noted",
            Self::Ignored => "ignored",
            Self::UnknownJob => "unknown_job",
        }
    }
}
