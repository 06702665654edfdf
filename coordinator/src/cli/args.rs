//! The program `seedbed`: its commands, and what they print and return.
//!
//! Exit codes: 0, all is well; 1, something failed (some stores, a check, a database); 2, the command line,
//! the settings or the list of stores are wrong and nothing was started; 130, interrupted. `local --serve`
//! ends by a signal, and then with 0.

use std::{error::Error, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use seedbed_protocol::{
    InvalidStoreId, StoreId,
    broker::BrokerError,
    settings::{self, CONFIG_VARIABLE, DEFAULTS, SettingsError},
    snapshots::{SnapshotStore, SnapshotStoreError},
    telemetry::{Telemetry, TelemetryError},
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{
    check::parts::{self, PartCheck},
    commands::{gc, run, serve, status as show},
    progress::{Reporter, print_json, print_lines},
};
use crate::{
    catalog::{Catalog, CatalogError, InFlight, ListOptions},
    http::server::routes::HttpError,
    programs::local::Outcome,
    programs::{
        cluster::ClusterError,
        local::{Local, LocalError},
        serve::ServeError,
    },
    runs::{control::cancel::RequeueError, list::RunError},
    settings::root::Settings,
    source::{
        file::FileFormat,
        record::{StoreSource, StoresError},
    },
    upkeep::{gc::RetentionError, rebuild::RebuildError, verify::VerifyCommandError},
};

pub(crate) const FAILED: u8 = 1;
pub(crate) const USAGE: u8 = 2;
pub(crate) const INTERRUPTED: u8 = 130;

/// Keeps a fresh, ready-to-open SQLite snapshot of every store's PowerSync data.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Settings come from ./seedbed.toml or --config, and from SEEDBED_* variables; \
                  `seedbed config` prints all of them with their defaults.\n\
                  Exit codes: 0 all is well, 1 something failed, 2 wrong usage or settings, 130 interrupted."
)]
pub struct Cli {
    /// The settings file [default: ./seedbed.toml if there is one]
    #[arg(long, global = true, value_name = "FILE", env = CONFIG_VARIABLE)]
    config: Option<PathBuf>,
    /// Print JSON for machines instead of tables for people
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Seed every store in this process, and exit
    #[command(
        after_help = "Example:\n  seedbed local --stores stores.ndjson --slots 8\n  \
        psql -c 'copy (select id as store_id from stores) to stdout csv header' | seedbed local --stores -"
    )]
    Local(LocalArgs),
    /// Have every store seeded by the workers of a cluster, and wait for the end
    #[command(
        after_help = "Example:\n  seedbed run\n  seedbed run --only-older-than 6h --no-wait\n  \
        seedbed run --store 42 --store 43"
    )]
    Run(run::RunArgs),
    /// Start failed stores over, and wait for the end
    #[command(
        after_help = "Example:\n  seedbed retry\n  seedbed retry 0190a6b2-6c3e-7c5a-9d3f-2f1f5a1c7e11"
    )]
    Retry(run::RetryArgs),
    /// Drop the jobs of a run that no worker has started
    #[command(after_help = "Example:\n  seedbed cancel 0190a6b2-6c3e-7c5a-9d3f-2f1f5a1c7e11")]
    Cancel(run::CancelArgs),
    /// Answer clients and administrators, record what workers report, and start runs as scheduled
    #[command(
        after_help = "Example:\n  seedbed serve\n  SEEDBED_SERVE__SCHEDULE='0 * * * *' seedbed serve"
    )]
    Serve(SourceArgs),
    /// Show the last runs, and which stores failed
    #[command(after_help = "Example:\n  seedbed status --failures")]
    Status {
        /// Name every failed store of the last run, not only the first 20
        #[arg(long)]
        failures: bool,
        /// List every job of the last run instead: what came of it and which way it went
        #[arg(long, conflicts_with = "failures")]
        jobs: bool,
    },
    /// List the snapshots
    #[command(after_help = "Example:\n  seedbed snapshots --store 42 --all")]
    Snapshots {
        /// Only those of this store
        #[arg(long, value_name = "ID")]
        store: Option<String>,
        /// Also those that a newer one has replaced
        #[arg(long)]
        all: bool,
    },
    /// Check a snapshot file, the live snapshot of a store, or those of a sample
    #[command(
        after_help = "Example:\n  seedbed verify 42\n  seedbed verify ./snapshot.sqlite\n  seedbed verify --sample 20"
    )]
    Verify(gc::VerifyArgs),
    /// Remove snapshots that nobody needs any more
    #[command(after_help = "Example:\n  seedbed gc --dry-run")]
    Gc(gc::GcArgs),
    /// Take every snapshot into the catalog whose manifest is in the store
    #[command(
        after_help = "Example:\n  SEEDBED_CATALOG__URL=sqlite:new.db seedbed rebuild-catalog"
    )]
    RebuildCatalog,
    /// Check that every part is configured, reachable and usable
    #[command(after_help = "Example:\n  seedbed check --stores stores.csv")]
    Check(SourceArgs),
    /// Print every setting with its default and what it is for; with --json, those in effect and where they come from
    #[command(
        after_help = "Example:\n  seedbed config > seedbed.toml\n  seedbed config --json | grep broker"
    )]
    Config,
    /// Print what makes a shell complete this program's commands and options
    #[command(
        after_help = "Example:\n  seedbed completions bash > /etc/bash_completion.d/seedbed\n  \
        seedbed completions zsh > ~/.zfunc/_seedbed"
    )]
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct SourceArgs {
    /// A list of stores, instead of [source]: NDJSON, or CSV with a header; - is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) stores: Option<String>,
    /// How --stores is written [default: by the file's extension; standard input, by its first line]
    #[arg(long, value_name = "FORMAT", requires = "stores")]
    pub(crate) stores_format: Option<FileFormat>,
}

#[derive(Debug, Args)]
pub(crate) struct LocalArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Jobs at a time [default: worker.slots, or the number of cores]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) slots: Option<u16>,
    /// Retire the stores that are gone even if [source] lists far fewer than before
    #[arg(long)]
    pub(crate) allow_fewer_stores: bool,
    /// Download every row of every store, also where there is a snapshot to start from
    #[arg(long, conflicts_with = "serve")]
    pub(crate) full: bool,
    /// List every store, also those that source.query leaves out since they have not changed (:since)
    #[arg(long, conflicts_with = "serve")]
    pub(crate) all: bool,
    /// Keep going: a new run every --interval, and downloads, API and dashboard at serve.listen
    #[arg(long)]
    pub(crate) serve: bool,
    /// From the start of one run to the start of the next [default: 1h, or as serve.schedule says]
    #[arg(long, requires = "serve", value_parser = humantime::parse_duration)]
    pub(crate) interval: Option<Duration>,
}

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
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
    Stores(#[from] StoresError),
    #[error(transparent)]
    Local(#[from] LocalError),
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    Snapshots(#[from] SnapshotStoreError),
    #[error(transparent)]
    Verify(#[from] VerifyCommandError),
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error(transparent)]
    Retention(#[from] RetentionError),
    #[error(transparent)]
    Rebuild(#[from] RebuildError),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error("cannot start the runtime: {0}")]
    Runtime(std::io::Error),
    #[error("cannot listen for signals: {0}")]
    Signals(std::io::Error),
}

impl CliError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_)
            | Self::Telemetry(_)
            | Self::StdinTwice
            | Self::NoInterval
            | Self::RunId(_)
            | Self::StoreId(_) => USAGE,
            Self::Stores(error) => stores_exit_code(error),
            Self::Verify(VerifyCommandError::Schema(_)) => USAGE,
            Self::Local(LocalError::Worker(_) | LocalError::Lock { .. }) => USAGE,
            Self::Catalog(error)
            | Self::Local(LocalError::Catalog(error))
            | Self::Cluster(ClusterError::Catalog(error))
            | Self::Cluster(ClusterError::Requeue(RequeueError::Catalog(error))) => {
                catalog_exit_code(error)
            }
            Self::Snapshots(error)
            | Self::Local(LocalError::Snapshots(error))
            | Self::Retention(RetentionError::Snapshots(error))
            | Self::Rebuild(RebuildError::Snapshots(error)) => snapshots_exit_code(error),
            Self::Broker(error) => broker_exit_code(error),
            Self::Local(LocalError::Run(error)) | Self::Cluster(ClusterError::Run(error)) => {
                run_exit_code(error)
            }
            Self::Retention(RetentionError::WrongStore { .. }) => USAGE,
            Self::Serve(error) | Self::Local(LocalError::Serve(error)) => serve_exit_code(error),
            _ => FAILED,
        }
    }
}

fn run_exit_code(error: &RunError) -> u8 {
    match error {
        RunError::Stores(error) => stores_exit_code(error),
        RunError::Catalog(error) => catalog_exit_code(error),
        RunError::NoStores { .. } | RunError::UnknownStore { .. } | RunError::Template { .. } => {
            USAGE
        }
        _ => FAILED,
    }
}

fn serve_exit_code(error: &ServeError) -> u8 {
    match error {
        ServeError::Http(HttpError::Snapshots(error)) | ServeError::Snapshots(error) => {
            snapshots_exit_code(error)
        }
        ServeError::Http(_) => USAGE,
        ServeError::Run(error) => run_exit_code(error),
        _ => FAILED,
    }
}

fn broker_exit_code(error: &BrokerError) -> u8 {
    if error.is_configuration() {
        USAGE
    } else {
        FAILED
    }
}

/// A list that is wrong has to be changed by somebody; a database that is down has not.
fn stores_exit_code(error: &StoresError) -> u8 {
    match error {
        StoresError::Connect { .. } | StoresError::Ended { .. } => FAILED,
        StoresError::Query { source, .. } if !is_refusal(source) => FAILED,
        _ => USAGE,
    }
}

/// Whether the database understood the query and will not have it. SQLSTATE's classes 08, 53 and 57 are about
/// the connection and the server.
fn is_refusal(error: &sqlx::Error) -> bool {
    let Some(refused) = error.as_database_error() else {
        return false;
    };
    let code = refused.code().unwrap_or_default();
    !["08", "53", "57"]
        .iter()
        .any(|class| code.starts_with(class))
}

fn catalog_exit_code(error: &CatalogError) -> u8 {
    match error {
        CatalogError::Open { .. }
        | CatalogError::Newer { .. }
        | CatalogError::DuplicateStore { .. }
        | CatalogError::FewerStores { .. }
        | CatalogError::UnknownRun { .. }
        | CatalogError::RunEnded { .. } => USAGE,
        _ => FAILED,
    }
}

fn snapshots_exit_code(error: &SnapshotStoreError) -> u8 {
    // What will never be allowed, somebody has to change.
    if error.is_transient() { FAILED } else { USAGE }
}

/// Runs one command; prints what went wrong as `error: …`, or for machines as JSON.
pub fn main(cli: Cli) -> ExitCode {
    let json = cli.json;
    let code = match run(cli) {
        Ok(code) => code,
        Err(error) => {
            let (message, code) = (chain(&error), error.exit_code());
            if json {
                print_json_error(&message, code);
            } else {
                eprintln!("error: {message}");
            }
            code
        }
    };
    ExitCode::from(code)
}

/// Prints why the command line is not understood, or the help or the version that it asks for.
pub fn refuse(error: &clap::Error) -> ExitCode {
    // Without a command line that is understood, only the word itself tells that a machine reads this.
    let json = std::env::args_os().any(|argument| argument == "--json");
    if json && error.use_stderr() {
        let text = error.to_string();
        print_json_error(text.trim_start_matches("error: ").trim_end(), USAGE);
        return USAGE.into();
    }
    error.exit()
}

fn print_json_error(message: &str, code: u8) {
    eprintln!(
        "{}",
        json!({"type": "error", "message": message, "exit_code": code})
    );
}

/// An error and its causes in one line. A cause that its error already quotes is not said again.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let reason = error.to_string();
        if !text.contains(&reason) {
            text = format!("{text}: {reason}");
        }
        cause = error.source();
    }
    text
}

fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "seedbed", &mut script);
    String::from_utf8_lossy(&script).trim_end().to_owned()
}

fn run(cli: Cli) -> Result<u8, CliError> {
    match cli.command {
        Command::Config if cli.json => {
            for setting in settings::effective(cli.config.as_deref())? {
                print_json(&setting);
            }
            return Ok(0);
        }
        Command::Config => {
            print_lines(DEFAULTS.trim_end());
            return Ok(0);
        }
        Command::Completions { shell } => {
            print_lines(&completions(shell));
            return Ok(0);
        }
        _ => {}
    }
    let settings = Settings::load(cli.config.as_deref())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(CliError::Runtime)?;
    runtime.block_on(async {
        let telemetry = Telemetry::start("seedbed", &settings.log)?;
        let code = execute(cli.command, settings, cli.json).await;
        telemetry.shutdown();
        code
    })
}

async fn execute(command: Command, settings: Settings, json: bool) -> Result<u8, CliError> {
    match command {
        Command::Local(args) => local(args, settings, json).await,
        Command::Check(args) => run_check(args, settings, json).await,
        Command::Status { failures, jobs } => {
            settings.check_catalog()?;
            let catalog = Catalog::open_existing(settings.catalog.url.expose()).await?;
            if jobs {
                show::jobs(&catalog, json).await?;
                return Ok(0);
            }
            let parked = run::parked(&settings).await;
            show::status(&catalog, parked, failures, json).await?;
            Ok(0)
        }
        Command::Snapshots { store, all } => {
            settings.check_catalog()?;
            let store_id = store.map(StoreId::new).transpose()?;
            let catalog = Catalog::open_existing(settings.catalog.url.expose()).await?;
            let snapshots = SnapshotStore::open(&settings.snapshots)?;
            show::snapshots(&catalog, &snapshots, store_id.as_ref(), all, json).await?;
            Ok(0)
        }
        Command::Run(args) => run::run(args, settings, json).await,
        Command::Retry(args) => run::retry(args, settings, json).await,
        Command::Serve(args) => serve::cluster(args, settings, json).await,
        Command::Cancel(args) => run::cancel(args, settings, json).await,
        Command::Verify(args) => gc::verify(args, &settings, json).await,
        Command::Gc(args) => gc::gc(args, settings, json).await,
        Command::RebuildCatalog => gc::rebuild(settings, json).await,
        // Printed before the settings were read.
        Command::Config | Command::Completions { .. } => Ok(0),
    }
}

async fn local(args: LocalArgs, mut settings: Settings, json: bool) -> Result<u8, CliError> {
    if let Some(slots) = args.slots {
        settings.worker.slots = Some(slots);
    }
    settings.check_local()?;
    let source = store_source(&args.source, &settings)?;
    if args.serve {
        return serve::local(args, source, settings, json).await;
    }
    let options = ListOptions {
        kind: "local",
        in_flight: InFlight::Refuse,
        only_older_than: None,
        full_sweep: args.source.stores.is_none(),
        allow_fewer: args.allow_fewer_stores,
        is_full: args.full,
        only_changed: !(args.full || args.all),
    };
    let stop = stop_on_signals("stopping; what is in flight is abandoned")?;
    let local = Local::open(settings, Reporter::new(json)).await?;
    Ok(match local.seed(&source, options, stop).await? {
        Outcome::Finished(summary) if summary.totals.seeded == summary.totals.stores => 0,
        Outcome::Finished(_) => FAILED,
        Outcome::NothingToDo => {
            if !json {
                eprintln!("no store needs a new job");
            }
            0
        }
        Outcome::Interrupted => INTERRUPTED,
    })
}

pub(crate) fn store_source(
    args: &SourceArgs,
    settings: &Settings,
) -> Result<StoreSource, StoresError> {
    StoreSource::new(args.stores.as_deref(), args.stores_format, &settings.source)
}

/// Cancelled by the first Ctrl-C or SIGTERM, which is answered with `notice`; the second one ends the process at
/// once.
pub(crate) fn stop_on_signals(notice: &'static str) -> Result<CancellationToken, CliError> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt()).map_err(CliError::Signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(CliError::Signals)?;
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if stopped.is_cancelled() {
                std::process::exit(INTERRUPTED.into());
            }
            eprintln!("{notice} (once more to stop at once)");
            stopped.cancel();
        }
    });
    Ok(stop)
}

async fn run_check(args: SourceArgs, settings: Settings, json: bool) -> Result<u8, CliError> {
    if settings.broker.is_memory() {
        settings.check_local()?;
    } else {
        settings.check_cluster()?;
        // Only workers need the rest; where they have settings of their own, these are empty.
        if !settings.powersync.endpoint.is_empty() {
            settings.check_seeding()?;
        }
    }
    let source = store_source(&args, &settings)?;
    let mut parts_found = vec![PartCheck {
        part: "settings",
        ok: true,
        detail: "every setting is known and makes sense".to_owned(),
    }];
    parts_found.extend(parts::check(&settings, &source).await);
    let ok = parts_found.iter().all(|part| part.ok);
    if json {
        print_json(&json!({"ok": ok, "parts": parts_found}));
    } else {
        for PartCheck { part, ok, detail } in &parts_found {
            let mark = if *ok { "ok    " } else { "FAILED" };
            print_lines(&format!("{mark}  {part:<10}  {detail}"));
        }
    }
    Ok(if ok { 0 } else { FAILED })
}

#[cfg(test)]
mod tests {
    use seedbed_protocol::{message::Encoding, snapshots::SnapshotsConfig};

    use super::*;

    #[test]
    fn a_lost_connection_is_a_failure_and_an_unusable_directory_wrong_usage() {
        let lost = StoresError::Query {
            database: "db".to_owned(),
            source: sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into()),
        };
        assert_eq!(CliError::from(lost).exit_code(), FAILED);
        assert_eq!(CliError::from(StoresError::NoQuery).exit_code(), USAGE);
        let unusable = SnapshotStore::open(&SnapshotsConfig {
            url: "file:/dev/null/snapshots".to_owned(),
            renditions: vec![Encoding::Identity],
            latest: false,
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
