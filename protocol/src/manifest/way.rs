//! How a snapshot was made: by a full download or from a base, and why.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize, Serializer};

use crate::ids::JobId;

/// What a snapshot was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Every row was downloaded.
    Full {
        #[serde(serialize_with = "as_older_readers_know_it")]
        because: FullReason,
    },
    /// It continues an earlier snapshot of the same store.
    Base {
        job_id: JobId,
        /// When every row was downloaded last.
        full_at: DateTime<Utc>,
        /// Operations that were applied since the file was last written in order, without holes.
        loose_operations: u64,
    },
}

/// Older readers refuse a reason that they do not know. The checkpoint tells the generation, so nothing is lost.
fn as_older_readers_know_it<S: Serializer>(
    because: &FullReason,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match because {
        FullReason::Config => FullReason::Changed,
        known => *known,
    }
    .serialize(serializer)
}

impl Default for Origin {
    /// Returns that of older manifests, which do not say.
    fn default() -> Self {
        let because = FullReason::default();
        Self::Full { because }
    }
}

/// Why every row of a store was downloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FullReason {
    /// Bases are disabled (`sync.reuse`), or the program that made the snapshot did not know them.
    #[default]
    Off,
    /// The store had no live snapshot.
    First,
    /// A person or a program asked for it.
    Asked,
    /// The last one was too long ago (`sync.full_every`).
    Due,
    /// The app's schema has changed.
    Schema,
    /// The base was written by another version of the core extension.
    CoreVersion,
    /// The base was synced from another PowerSync service.
    Endpoint,
    /// The base is not stored in the forms that are wanted (`snapshots.renditions`).
    Renditions,
    /// Other parameters or subscriptions were asked for.
    Selection,
    /// The base's stream subscriptions would soon expire.
    Subscriptions,
    /// A file of the base is missing, or is not what it was.
    BaseFile,
    /// So much has changed that a full download costs less (`worker.base_cost`).
    Changed,
    /// The base and the changes did not add up to the checkpoint.
    Mismatch,
    /// Another sync config has renamed the buckets. In messages and manifests it is `changed`.
    Config,
}

impl FullReason {
    /// Returns its name in JSON, traces and the catalog.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::First => "first",
            Self::Asked => "asked",
            Self::Due => "due",
            Self::Schema => "schema",
            Self::CoreVersion => "core_version",
            Self::Endpoint => "endpoint",
            Self::Renditions => "renditions",
            Self::Selection => "selection",
            Self::Subscriptions => "subscriptions",
            Self::BaseFile => "base_file",
            Self::Changed => "changed",
            Self::Mismatch => "mismatch",
            Self::Config => "config",
        }
    }
}

/// Which way a job went: nothing, the changes, or everything was downloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The live snapshot is still right: nothing was downloaded.
    Unchanged,
    /// The snapshot continues an earlier one.
    Base,
    /// Every row was downloaded.
    Full(FullReason),
}

impl Way {
    /// Returns its name in JSON, traces and the catalog.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::Base => "base",
            Self::Full(_) => "full",
        }
    }

    /// Returns why every row was downloaded.
    pub fn why(self) -> Option<&'static str> {
        match self {
            Self::Full(reason) => Some(reason.name()),
            Self::Unchanged | Self::Base => None,
        }
    }
}
