//! What starts a run.

/// What starts a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunKind {
    /// `seedbed local`.
    Local,
    /// `seedbed run`.
    Run,
    /// `serve.schedule`.
    Schedule,
    /// A request to the API.
    Api,
    /// A client that asked for a snapshot.
    Demand,
    /// The sync config has changed (`sync.reseed_on_config_change`). Stores that clients asked for come first.
    Config,
    /// A retry of failed jobs of earlier runs.
    Retry,
}

impl RunKind {
    /// Returns its name in the catalog.
    pub fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Run => "run",
            Self::Schedule => "schedule",
            Self::Api => "api",
            Self::Demand => "demand",
            Self::Config => "config",
            Self::Retry => "retry",
        }
    }
}
