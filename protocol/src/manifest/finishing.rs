//! How a device finishes a compact file: the versioned description in `protocol/finish/`, which every client package has
//! a copy of. Its README says how the steps are read.

use std::sync::LazyLock;

use serde::Deserialize;

/// The description of the current version.
static CURRENT: LazyLock<Finishing> = LazyLock::new(|| {
    let json = include_str!("../../finish/v1.json");
    serde_json::from_str(json).expect("a test reads it")
});

/// The steps that turn a compact file into one that is ready for its first connection.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finishing {
    /// The version; what it means never changes.
    pub version: u32,
    /// The form that it finishes.
    pub form: super::Form,
    /// The versions of the core extension with which it was tested.
    pub core_versions: Vec<String>,
    /// What to do, in order and in one write transaction.
    pub steps: Vec<FinishingStep>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum FinishingStep {
    /// A statement.
    Run {
        /// A word for errors and progress.
        name: String,
        sql: String,
        /// What to bind, by name, in order. There is one: `schema`, the app's schema as the SDK's JSON.
        #[serde(default)]
        parameters: Vec<String>,
        /// The number that it has to return.
        #[serde(default)]
        returns: Option<i64>,
    },
    /// Statements that the core extension itself would run.
    OfCore {
        /// A word for errors and progress.
        name: String,
        /// The query that finds them in a fresh database of the same core extension.
        of_core: String,
        /// The statements of the tested versions, for a client that cannot open one.
        otherwise: Vec<String>,
    },
}

impl FinishingStep {
    /// Returns its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Run { name, .. } | Self::OfCore { name, .. } => name,
        }
    }
}

impl Finishing {
    /// The name of `ps_oplog` in a compact file, so that an app that forgets to finish it fails at once.
    pub const OPLOG: &str = "seedbed_oplog";

    /// Returns the current description.
    pub fn current() -> &'static Self {
        &CURRENT
    }
}
