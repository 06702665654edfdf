//! Whom each step of a job waits for.

use serde::Serialize;
use utoipa::ToSchema;

/// What a step's time depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// The PowerSync service.
    Service,
    /// The worker's processors and disk.
    Worker,
    /// Object storage.
    Storage,
    /// Nothing that is known: steps that were not reported, pauses before a retry.
    Unknown,
}

impl Part {
    /// Each of them, in the order in which pictures have them.
    pub const EACH: [Self; 4] = [Self::Service, Self::Worker, Self::Storage, Self::Unknown];

    /// Returns that of a step, as manifests name it.
    pub fn of(step: &str) -> Self {
        match step {
            "token" | "compare" | "sync" => Self::Service,
            "scrub" | "vacuum" | "verify" | "compact" | "stream" | "seal" | "forms" => Self::Worker,
            "fetch" | "upload" => Self::Storage,
            _ => Self::Unknown,
        }
    }

    /// Returns its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Worker => "worker",
            Self::Storage => "storage",
            Self::Unknown => "unknown",
        }
    }
}
