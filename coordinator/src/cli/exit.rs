//! How a command ends: the one table of exit codes, and which error has which.
//!
//! 0, all is well; 1, something was started and some of it failed; 2, a person has to change the command line, the
//! settings or the list of stores; 3, nothing was started, and the same call may succeed later; 130, interrupted.
//! `deploy/COMMANDS.md` has the table for users.

use std::time::Duration;

use seedbed_protocol::{
    InvalidStoreId,
    broker::BrokerError,
    objects::StorageError,
    process::{FAILED, INTERRUPTED, LATER, USAGE},
    settings::SettingsError,
    telemetry::TelemetryError,
};

use super::imports::ImportError;
use crate::{
    catalog::CatalogError,
    programs::{ClusterError, LocalError, ServeError},
    runs::NotifyError,
    source::SourceError,
    upkeep::{GcError, RebuildError, VerifyError},
};

/// How a command ended that did not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Something was started, and some of it failed.
    Failed,
    /// A person has to change something first.
    Usage,
    /// Nothing was started, and the same call may succeed later.
    Later,
    /// A signal ended it before anything was started.
    Interrupted,
}

impl Outcome {
    /// Returns the exit code.
    pub(super) fn exit_code(self) -> u8 {
        match self {
            Self::Failed => FAILED,
            Self::Usage => USAGE,
            Self::Later => LATER,
            Self::Interrupted => INTERRUPTED,
        }
    }

    /// The outcome of an error that came before anything was started.
    fn before_start(is_usage: bool, is_transient: bool) -> Self {
        match (is_usage, is_transient) {
            (true, _) => Self::Usage,
            (false, true) => Self::Later,
            (false, false) => Self::Failed,
        }
    }
}

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
    #[error("{path} exists; --force replaces it, and --config FILE writes another")]
    SettingsExist { path: String },
    #[error("cannot write {path}: {source}")]
    SettingsNotWritten {
        path: String,
        source: std::io::Error,
    },
    #[error("{path} is not written: {reason}")]
    SettingsRefused { path: String, reason: String },
    #[error("--share is for `on`; `off --form FORM` is for one form, `on --share 0%` for no store")]
    ShareOfNothing,
    #[error("cannot write man pages to {path}: {source}")]
    PagesNotWritten {
        path: String,
        source: std::io::Error,
    },
    #[error(transparent)]
    Import(#[from] ImportError),
    #[error(
        "--source has a password in it, which does not belong into a file: leave it out, and set SEEDBED_SOURCE__URL"
    )]
    PasswordInFile,
    #[error("--interval must be longer than 0 s")]
    NoInterval,
    #[error("the catalog has no snapshot yet to plan by; give --stores and --rows")]
    NothingToPlan,
    #[error("no runs yet; `seedbed local` or `seedbed run` starts one")]
    NoRuns,
    #[error("{0:?} is not the id of a run; `seedbed status` shows them")]
    RunId(String),
    #[error(transparent)]
    StoreId(#[from] InvalidStoreId),
    #[error(transparent)]
    Source(#[from] SourceError),
    /// No part was open yet.
    #[error(transparent)]
    LocalStart(LocalError),
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
    Cluster(#[from] ClusterError),
    #[error(transparent)]
    Notify(#[from] NotifyError),
    #[error(transparent)]
    Gc(#[from] GcError),
    #[error(transparent)]
    Rebuild(#[from] RebuildError),
    /// It did not begin to serve.
    #[error(transparent)]
    ServeStart(ServeError),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error("gave up waiting for {part} after {}: {source}", humantime::format_duration(*waited))]
    Away {
        part: &'static str,
        waited: Duration,
        source: Box<CliError>,
    },
    #[error("{url} (snapshots.url) did not answer within {}", humantime::format_duration(*limit))]
    Silent { url: String, limit: Duration },
    #[error("the answers ended, and nothing was written")]
    Unanswered,
    #[error("cannot ask on this terminal: {0}")]
    NotAsked(std::io::Error),
    #[error("interrupted; nothing was started")]
    Interrupted,
    #[error("cannot answer requests: {0}")]
    Socket(std::io::Error),
    #[error("cannot start the runtime: {0}")]
    Runtime(std::io::Error),
    #[error("cannot listen for signals: {0}")]
    Signals(std::io::Error),
}

impl CliError {
    pub(super) fn exit_code(&self) -> u8 {
        self.outcome().exit_code()
    }

    /// Returns how the command ended.
    pub(super) fn outcome(&self) -> Outcome {
        let of = Outcome::before_start;
        match self {
            Self::Config(_)
            | Self::Telemetry(_)
            | Self::StdinTwice
            | Self::SettingsExist { .. }
            | Self::SettingsNotWritten { .. }
            | Self::NotAsked(_)
            | Self::PagesNotWritten { .. }
            | Self::Import(_)
            | Self::PasswordInFile
            | Self::NoInterval
            | Self::NothingToPlan
            | Self::NoRuns
            | Self::RunId(_)
            | Self::StoreId(_)
            | Self::SettingsRefused { .. }
            | Self::ShareOfNothing => Outcome::Usage,
            Self::Interrupted | Self::Unanswered => Outcome::Interrupted,
            Self::Away { .. }
            | Self::Silent { .. }
            | Self::Socket(_)
            | Self::Runtime(_)
            | Self::Signals(_) => Outcome::Later,
            Self::Source(error) => of(error.is_usage(), error.is_transient()),
            Self::LocalStart(error) => of(error.is_usage(), error.may_start_later(true)),
            Self::Local(error) => of(error.is_usage(), error.may_start_later(false)),
            Self::Catalog(error) => of(error.is_usage(), error.is_transient()),
            Self::Snapshots(error) => of(!error.is_transient(), true),
            Self::Verify(error) => of(error.is_usage(), error.is_transient()),
            Self::Broker(error) => of(error.is_configuration(), error.is_transient()),
            Self::Cluster(error) => of(error.is_usage(), error.may_start_later()),
            Self::Notify(error) => of(!error.is_transient(), true),
            // What they have begun, the same call continues.
            Self::Gc(error) => of(error.is_usage(), error.is_transient()),
            Self::Rebuild(error) => of(error.is_usage(), error.is_transient()),
            Self::ServeStart(error) => of(error.is_usage(), error.may_start_later()),
            Self::Serve(error) => of(error.is_usage(), false),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use seedbed_protocol::{RunId, broker::Queue};

    use super::*;
    use crate::{programs::LockError, runs::RunError, source::SourceError};

    /// An error as Postgres words it.
    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Sqlstate(&'static str);

    impl sqlx::error::DatabaseError for Sqlstate {
        fn message(&self) -> &str {
            self.0
        }

        fn code(&self) -> Option<std::borrow::Cow<'_, str>> {
            Some(self.0.into())
        }

        fn kind(&self) -> sqlx::error::ErrorKind {
            sqlx::error::ErrorKind::Other
        }

        fn as_error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
            self
        }

        fn as_error_mut(&mut self) -> &mut (dyn std::error::Error + Send + Sync + 'static) {
            self
        }

        fn into_error(self: Box<Self>) -> Box<dyn std::error::Error + Send + Sync + 'static> {
            self
        }
    }

    fn refused(code: &'static str) -> sqlx::Error {
        sqlx::Error::Database(Box::new(Sqlstate(code)))
    }

    fn away() -> sqlx::Error {
        sqlx::Error::Io(io::ErrorKind::ConnectionRefused.into())
    }

    fn source(error: sqlx::Error) -> SourceError {
        SourceError::Connect {
            database: "db".to_owned(),
            source: error,
        }
    }

    fn catalog(error: sqlx::Error) -> CatalogError {
        CatalogError::Database(error)
    }

    fn unreachable() -> BrokerError {
        BrokerError::Unreachable {
            broker: "mq".to_owned(),
            reason: "refused".to_owned(),
        }
    }

    fn wrong_password() -> BrokerError {
        BrokerError::Refused {
            broker: "mq".to_owned(),
            reason: "ACCESS_REFUSED".to_owned(),
            next: "check",
            may_pass: false,
        }
    }

    fn objects(transient: bool) -> StorageError {
        StorageError::Object {
            action: "list",
            key: String::new(),
            url: "s3://b".to_owned(),
            reason: "503".to_owned(),
            transient,
        }
    }

    fn codes(errors: Vec<CliError>) -> Vec<u8> {
        errors.iter().map(CliError::exit_code).collect()
    }

    #[test]
    fn what_is_away_before_anything_was_started_may_come_back() {
        let mut errors = vec![
            source(away()).into(),
            CatalogError::Unavailable {
                catalog: "c".to_owned(),
                reason: "down".to_owned(),
            }
            .into(),
            CatalogError::Missing { path: "c".into() }.into(),
            unreachable().into(),
            objects(true).into(),
            ClusterError::NotStarted(RunError::Source(source(away()))).into(),
            ClusterError::NotStarted(RunError::Broker(unreachable())).into(),
            LocalError::NotStarted(RunError::Source(source(away()))).into(),
            LocalError::Lock(LockError::Locked { path: "c".into() }).into(),
            CliError::LocalStart(LocalError::Catalog(catalog(refused("57P03")))),
            GcError::Snapshots(objects(true)).into(),
            RebuildError::Catalog(catalog(away())).into(),
            VerifyError::Snapshots(objects(true)).into(),
            CliError::ServeStart(ServeError::Snapshots(objects(true))),
            CliError::Signals(io::ErrorKind::OutOfMemory.into()),
        ];
        // Starting up, shutting down, too many connections, a connection that broke.
        for code in ["57P03", "57P01", "53300", "08006"] {
            errors.push(source(refused(code)).into());
            errors.push(catalog(refused(code)).into());
        }
        let expected = vec![LATER; errors.len()];
        assert_eq!(codes(errors), expected);
    }

    #[test]
    fn what_a_person_has_to_change_is_final() {
        let mut errors = vec![
            CliError::StdinTwice,
            SourceError::NoQuery.into(),
            CatalogError::Open {
                catalog: "c.db".to_owned(),
                reason: "it is no database".to_owned(),
            }
            .into(),
            wrong_password().into(),
            objects(false).into(),
            ClusterError::NotStarted(RunError::Broker(wrong_password())).into(),
            ClusterError::NotStarted(RunError::Catalog(CatalogError::UnknownRun {
                run_id: RunId::new(),
            }))
            .into(),
            LocalError::NotStarted(RunError::NoStores {
                origin: "a list".to_owned(),
            })
            .into(),
            GcError::Snapshots(objects(false)).into(),
        ];
        // A wrong password, no such database, no permission, no such table.
        for code in ["28P01", "3D000", "42501", "42P01"] {
            errors.push(source(refused(code)).into());
        }
        let expected = vec![USAGE; errors.len()];
        assert_eq!(codes(errors), expected);
    }

    #[test]
    fn what_goes_away_after_the_start_is_a_failure() {
        let errors = vec![
            ClusterError::Run(RunError::Broker(unreachable())).into(),
            ClusterError::Catalog(catalog(away())).into(),
            LocalError::Catalog(catalog(away())).into(),
            LocalError::Broker(BrokerError::NoDelays {
                queue: Queue::Events,
            })
            .into(),
            VerifyError::NoSnapshots.into(),
        ];
        let expected = vec![FAILED; errors.len()];
        assert_eq!(codes(errors), expected);
    }

    #[test]
    fn an_interrupted_wait_ends_as_a_shell_says() {
        assert_eq!(CliError::Interrupted.exit_code(), INTERRUPTED);
    }
}
