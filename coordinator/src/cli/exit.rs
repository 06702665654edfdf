//! Why a command failed, and its exit code: 2 if a person has to change the command line, the
//! settings or the list of stores first, otherwise 1.

use seedbed_protocol::{
    InvalidStoreId,
    broker::BrokerError,
    objects::StorageError,
    process::{FAILED, USAGE},
    settings::SettingsError,
    telemetry::TelemetryError,
};

use crate::{
    catalog::CatalogError,
    programs::{ClusterError, LocalError, ServeError},
    runs::RecordError,
    source::SourceError,
    upkeep::{GcError, RebuildError, VerifyError},
};

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    #[error(transparent)]
    Config(#[from] SettingsError),
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    #[error(
        "--stores - can be read only once, but `serve` and --serve read the list again for every run; give a file"
    )]
    StdinTwice,
    #[error("--interval must be longer than 0 s")]
    NoInterval,
    #[error("{0:?} is not the id of a run; `seedbed status` shows them")]
    RunId(String),
    #[error("--store: {0}")]
    StoreId(#[from] InvalidStoreId),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Local(#[from] LocalError),
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    Snapshots(#[from] StorageError),
    #[error(transparent)]
    Verify(#[from] VerifyError),
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error(transparent)]
    Gc(#[from] GcError),
    #[error(transparent)]
    Rebuild(#[from] RebuildError),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error("cannot answer requests: {0}")]
    Socket(std::io::Error),
    #[error("cannot start the runtime: {0}")]
    Runtime(std::io::Error),
    #[error("cannot listen for signals: {0}")]
    Signals(std::io::Error),
}

impl CliError {
    pub(super) fn exit_code(&self) -> u8 {
        if self.is_usage() { USAGE } else { FAILED }
    }

    fn is_usage(&self) -> bool {
        match self {
            Self::Config(_)
            | Self::Telemetry(_)
            | Self::StdinTwice
            | Self::NoInterval
            | Self::RunId(_)
            | Self::StoreId(_) => true,
            Self::Source(error) => error.is_usage(),
            Self::Local(error) => error.is_usage(),
            Self::Catalog(error) => error.is_usage(),
            Self::Snapshots(error) => !error.is_transient(),
            Self::Verify(error) => error.is_usage(),
            Self::Broker(error) => error.is_configuration(),
            Self::Cluster(error) => error.is_usage(),
            Self::Gc(error) => error.is_usage(),
            Self::Rebuild(error) => error.is_usage(),
            Self::Serve(error) => error.is_usage(),
            Self::Record(error) => error.is_usage(),
            Self::Socket(_) | Self::Runtime(_) | Self::Signals(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use seedbed_protocol::{
        manifest::{Encoding, RenditionKind},
        snapshots::{SnapshotRepository, SnapshotsConfig, UnreadableRowsPolicy},
    };

    use super::*;

    #[test]
    fn a_lost_connection_is_a_failure_and_an_unusable_directory_wrong_usage() {
        let lost = SourceError::Query {
            database: "db".to_owned(),
            source: sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into()),
        };
        assert_eq!(CliError::from(lost).exit_code(), FAILED);
        assert_eq!(CliError::from(SourceError::NoQuery).exit_code(), USAGE);
        let unusable = SnapshotRepository::open(&SnapshotsConfig {
            url: "file:/dev/null/snapshots".to_owned(),
            renditions: vec![RenditionKind::file(Encoding::Identity)],
            latest: false,
            unreadable_rows: UnreadableRowsPolicy::Warn,
        });
        let unusable = unusable.unwrap_err();
        let local = LocalError::from(unusable);
        assert_eq!(CliError::from(local).exit_code(), USAGE);
        let catalog = CatalogError::Open {
            catalog: "c.db".to_owned(),
            reason: "it is no database".to_owned(),
        };
        assert_eq!(CliError::from(catalog).exit_code(), USAGE);
    }
}
