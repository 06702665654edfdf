//! The command line of `seedbed`: every command and option, and the help that they print.
//!
//! Exit codes are in `exit.rs`. `local --serve` ends by a signal, and then with 0.

mod control;
mod plan;

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use seedbed_protocol::settings::CONFIG_VARIABLE;

pub(super) use self::{
    control::{
        AuditArgs, DeliveredForm, DeliveryArgs, NewTokenArgs, Notify, StoreArgs, Switch, Tokens,
        WithdrawArgs,
    },
    plan::PlanArgs,
};
use crate::source::FileFormat;

/// Keeps a fresh, ready-to-open SQLite snapshot of every store's PowerSync data.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Settings come from ./seedbed.toml or --config, and from SEEDBED_* variables; \
                  `seedbed config` prints all of them with their defaults.\n\
                  Exit codes: 0 all is well, 1 some failed, 2 wrong usage or settings, 3 nothing was started and the\n\
                  same call may succeed later, 130 interrupted."
)]
pub struct Cli {
    /// The settings file [default: ./seedbed.toml if there is one]
    #[arg(long, global = true, value_name = "FILE", env = CONFIG_VARIABLE)]
    pub(super) config: Option<PathBuf>,
    /// Print JSON for machines instead of tables for people
    #[arg(long, global = true)]
    pub(super) json: bool,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
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
    Run(RunArgs),
    /// Retry failed stores, and wait for the end
    #[command(
        after_help = "Example:\n  seedbed retry\n  seedbed retry 0190a6b2-6c3e\n  seedbed retry --reason 5f2b9c01aa"
    )]
    Retry(RetryArgs),
    /// Quarantine every store that fails for one reason: sweeps skip them, but for probes, until something succeeds
    #[command(after_help = "Example:\n  seedbed quarantine --reason 5f2b9c01aa")]
    Quarantine(QuarantineArgs),
    /// Cancel the jobs of a run that no worker has started
    #[command(after_help = "Example:\n  seedbed cancel 0190a6b2-6c3e")]
    Cancel(CancelArgs),
    /// Answer clients and administrators, record what workers report, and start runs as scheduled
    #[command(
        after_help = "Example:\n  seedbed serve\n  SEEDBED_SERVE__SCHEDULE='0 * * * *' seedbed serve"
    )]
    Serve(SourceArgs),
    /// Show the last runs, what fails and why, and how fresh the snapshots are
    #[command(
        after_help = "Example:\n  seedbed status\n  seedbed status 0190a6b2-6c3e\n  seedbed status --watch\n  \
        seedbed status --json | jq '.reasons'\n\
        A table drops columns where there is no room for them (COLUMNS, or the terminal's width; 80 in a pipe)."
    )]
    Status(StatusArgs),
    /// Draw a run in time, as SVG: which worker was busy with what, the slowest and failed stores, and what bounded the run
    #[command(after_help = "On a terminal it is told in words.\n\
        Example:\n  seedbed timeline > run.svg\n  seedbed timeline 0190a6b2-6c3e-7c5a-9d3f-2f1f5a1c7e11 > run.svg")]
    Timeline(TimelineArgs),
    /// List the snapshots
    #[command(after_help = "Example:\n  seedbed snapshots --store 42 --all")]
    Snapshots(SnapshotsArgs),
    /// Check a snapshot file, the live snapshot of a store, or those of a sample
    #[command(
        after_help = "Example:\n  seedbed verify 42\n  seedbed verify ./snapshot.sqlite\n  seedbed verify --sample 20"
    )]
    Verify(VerifyArgs),
    /// Take live snapshots back: each store has the one before again, or none
    #[command(
        after_help = "Example:\n  seedbed withdraw 42\n  seedbed withdraw --run 0190a6b2-6c3e-7c5a-9d3f-2f1f5a1c7e11\n  \
        seedbed withdraw --all"
    )]
    Withdraw(WithdrawArgs),
    /// Show or set which devices get snapshots: off sends all to the normal sync at once
    #[command(
        after_help = "Example:\n  seedbed delivery\n  seedbed delivery off\n  seedbed delivery on\n  \
        seedbed delivery on --share 5% --form compact"
    )]
    Delivery(DeliveryArgs),
    /// Remove everything of a store at once, and leave it out of lists until it is allowed again
    #[command(after_help = "Example:\n  seedbed forget 42")]
    Forget(StoreArgs),
    /// Let a forgotten store be seeded again
    #[command(after_help = "Example:\n  seedbed allow 42")]
    Allow(StoreArgs),
    /// Remove snapshots that are no longer needed
    #[command(after_help = "Example:\n  seedbed gc --dry-run")]
    Gc(GcArgs),
    /// Take every snapshot into the catalog whose manifest is in the object storage
    #[command(
        after_help = "Example:\n  SEEDBED_CATALOG__URL=sqlite:new.db seedbed rebuild-catalog"
    )]
    RebuildCatalog,
    /// Compute what a fleet needs: service, workers, storage and money
    #[command(
        after_help = "Reads stores, rows and changes from the catalog, unless --stores and --rows are given. Prices are of any currency.\n\
        Example:\n  seedbed plan --within 20m\n  \
        seedbed plan --stores 3000 --rows 20000 --largest-store 500000 --changed-stores 20% --every 6h"
    )]
    Plan(PlanArgs),
    /// Try whether notices arrive
    #[command(after_help = "Example:\n  seedbed notify test")]
    Notify {
        #[command(subcommand)]
        what: Notify,
    },
    /// Make, list and revoke tokens of the API, each with a role and an end
    #[command(
        after_help = "Example:\n  seedbed tokens create grafana --role viewer\n  \
        seedbed tokens create deploy --role operator --expires 30d\n  seedbed tokens list\n  seedbed tokens revoke grafana"
    )]
    Tokens {
        #[command(subcommand)]
        what: Tokens,
    },
    /// Show who did what: every change by a command, the API and the dashboard
    #[command(after_help = "Example:\n  seedbed audit --search store-42")]
    Audit(AuditArgs),
    /// Check that every part is configured, reachable and usable
    #[command(after_help = "Example:\n  seedbed check --stores stores.csv")]
    Check(SourceArgs),
    /// Print every setting with its default and what it is for; with --json, those in effect and where they come from
    #[command(
        after_help = "Example:\n  seedbed config > seedbed.toml\n  seedbed config --json | grep broker"
    )]
    Config,
    /// Write a commented settings file, and say what to do next; asks on a terminal for what no option gives
    #[command(
        after_help = "Example:\n  seedbed init\n  seedbed init --endpoint https://powersync.example.com \\\n    \
        --source postgres://reader@db.example.com/app --query 'SELECT id AS store_id FROM stores'\n  \
        seedbed init --from-sync-config powersync.yaml sync-config.yaml --endpoint https://powersync.example.com"
    )]
    Init(InitArgs),
    /// Print a JSON schema of the settings file, for editors; or the app's schema, for schema.file
    #[command(after_help = "Example:\n  seedbed schema > seedbed.schema.json\n  \
        (and `#:schema ./seedbed.schema.json` as the first line of seedbed.toml)\n  \
        seedbed schema --from src/AppSchema.ts > schema.json\n  \
        seedbed schema --from-snapshot snapshot.sqlite > schema.json")]
    Schema(SchemaArgs),
    /// Print shell completions for the programs' commands and options
    #[command(
        after_help = "Example:\n  seedbed completions bash > /etc/bash_completion.d/seedbed\n  \
        seedbed completions zsh > ~/.zfunc/_seedbed"
    )]
    Completions {
        /// The shell
        shell: Shell,
        /// The program
        #[arg(value_enum, default_value_t = Program::Seedbed)]
        program: Program,
    },
    /// Write man pages of both programs and of every command
    #[command(after_help = "Example:\n  seedbed man ~/.local/share/man/man1")]
    Man {
        /// The directory, which is made if it is not there
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
}

/// The programs of Seedbed.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Program {
    Seedbed,
    SeedbedWorker,
}

#[derive(Debug, Args)]
pub(super) struct SourceArgs {
    /// A list of stores, instead of [source]: NDJSON, or CSV with a header; - is standard input
    #[arg(long, value_name = "FILE", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(super) stores: Option<String>,
    /// How --stores is written [default: by the file's extension; standard input, by its first line]
    #[arg(long, value_name = "FORMAT", requires = "stores")]
    pub(super) stores_format: Option<FileFormat>,
}

#[derive(Debug, Args)]
pub(super) struct LocalArgs {
    #[command(flatten)]
    pub(super) source: SourceArgs,
    /// Jobs at a time [default: worker.slots, or the number of cores]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) slots: Option<u16>,
    /// Retire missing stores even if [source] lists far fewer than before
    #[arg(long)]
    pub(super) allow_fewer_stores: bool,
    /// Download every row of every store, even if the live snapshot could be reused
    #[arg(long, conflicts_with = "serve")]
    pub(super) full: bool,
    /// List every store, also those that source.query leaves out since they have not changed (:since)
    #[arg(long, conflicts_with = "serve")]
    pub(super) all: bool,
    /// Keep going: a new run every --interval, and downloads, API and dashboard at serve.listen
    #[arg(long)]
    pub(super) serve: bool,
    /// From the start of one run to the start of the next [default: 1h, or as serve.schedule says]
    #[arg(long, requires = "serve", value_parser = humantime::parse_duration)]
    pub(super) interval: Option<Duration>,
}

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) source: SourceArgs,
    /// Return when every job is published, and leave the rest to the workers
    #[arg(long)]
    pub(super) no_wait: bool,
    /// Only this store; may be given more than once
    #[arg(long = "store", value_name = "ID", conflicts_with = "limit")]
    pub(super) only: Vec<String>,
    /// At most this many stores, from the beginning of the list
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) limit: Option<u64>,
    /// Only stores whose snapshot is older than this, or that have none
    #[arg(long, value_name = "AGE", value_parser = humantime::parse_duration)]
    pub(super) only_older_than: Option<Duration>,
    /// Retire missing stores even if [source] lists far fewer than before
    #[arg(long)]
    pub(super) allow_fewer_stores: bool,
    /// Download every row of every store, even if the live snapshot could be reused
    #[arg(long)]
    pub(super) full: bool,
    /// List every store, also those that source.query leaves out since they have not changed (:since)
    #[arg(long)]
    pub(super) all: bool,
}

#[derive(Debug, Args)]
pub(super) struct RetryArgs {
    /// Only the failed stores of this run; the beginning of its id is enough
    #[arg(value_name = "RUN")]
    pub(super) run: Option<String>,
    /// Only the stores that failed for this reason, as `seedbed status` shows it
    #[arg(long, value_name = "KEY")]
    pub(super) reason: Option<String>,
    /// Return when every job is published
    #[arg(long)]
    pub(super) no_wait: bool,
}

#[derive(Debug, Args)]
pub(super) struct QuarantineArgs {
    /// The reason, as `seedbed status` shows it
    #[arg(long, value_name = "KEY")]
    pub(super) reason: String,
}

#[derive(Debug, Args)]
pub(super) struct CancelArgs {
    /// The run, as `seedbed status` shows it; the beginning of its id is enough
    #[arg(value_name = "RUN")]
    pub(super) run: String,
}

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// Only this run, beside the one before it; the beginning of its id is enough
    #[arg(value_name = "RUN")]
    pub(super) run: Option<String>,
    /// Show every reason, and name every failed store of the last run
    #[arg(long)]
    pub(super) failures: bool,
    /// List every job of the run instead: its state and its way
    #[arg(long, conflicts_with_all = ["failures", "watch"])]
    pub(super) jobs: bool,
    /// Keep showing it until the run ends, or Ctrl-C; ends with 1 if a store failed
    #[arg(long)]
    pub(super) watch: bool,
}

#[derive(Debug, Args)]
pub(super) struct TimelineArgs {
    /// The run, as `seedbed status` shows it [default: the newest]
    #[arg(value_name = "RUN")]
    pub(super) run: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct SnapshotsArgs {
    /// Only those of this store
    #[arg(long, value_name = "ID")]
    pub(super) store: Option<String>,
    /// Also those that a newer one has replaced
    #[arg(long)]
    pub(super) all: bool,
}

#[derive(Debug, Args)]
pub(super) struct GcArgs {
    /// Only print what would be removed
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// A file, or a store's id
    #[arg(value_name = "FILE|STORE", required_unless_present = "sample")]
    pub(super) target: Option<String>,
    /// Check the live snapshots of this many stores, picked at random
    #[arg(long, value_name = "N", conflicts_with = "target",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) sample: Option<u32>,
}

#[derive(Debug, Args)]
pub(super) struct SchemaArgs {
    /// The app's schema as its source has it for PowerSync's SDKs (.ts or .js), or as the SDK prints it (.json)
    #[arg(long, value_name = "FILE")]
    pub(super) from: Option<PathBuf>,
    /// A snapshot, or a database of the app
    #[arg(long, value_name = "FILE", conflicts_with = "from")]
    pub(super) from_snapshot: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// PowerSync's own configuration of the service, its sync config, or both: proposes settings by them
    #[arg(long, value_name = "FILE", num_args = 1..=2)]
    pub(super) from_sync_config: Vec<PathBuf>,
    /// The URL of the PowerSync service, as an app uses it
    #[arg(long, value_name = "URL")]
    pub(super) endpoint: Option<String>,
    /// Where the list of stores comes from, see source.url; without a password
    #[arg(long, value_name = "URL")]
    pub(super) source: Option<String>,
    /// The query with one row per store, for an SQL database
    #[arg(long, value_name = "SQL", requires = "source")]
    pub(super) query: Option<String>,
    /// The collection with one document per store, for MongoDB
    #[arg(
        long,
        value_name = "NAME",
        requires = "source",
        conflicts_with = "query"
    )]
    pub(super) collection: Option<String>,
    /// A private key in PEM to sign tokens with, instead of a shared secret
    #[arg(long, value_name = "FILE", requires = "algorithm")]
    pub(super) key_file: Option<String>,
    /// The algorithm of the key
    #[arg(long, value_name = "NAME")]
    pub(super) algorithm: Option<String>,
    /// The key id in the token's header
    #[arg(long, value_name = "ID")]
    pub(super) kid: Option<String>,
    /// The `aud` claim of tokens
    #[arg(long, value_name = "TEXT")]
    pub(super) audience: Option<String>,
    /// The client SDK's schema as JSON
    #[arg(long, value_name = "FILE")]
    pub(super) schema: Option<String>,
    /// Replace the settings file if there is one
    #[arg(long)]
    pub(super) force: bool,
}
