//! Commands on a cluster: `run`, `retry`, `cancel`.

use std::{sync::Arc, time::Duration};

use clap::Args;
use indicatif::HumanCount;
use seedbed_protocol::{
    RunId, StoreId,
    broker::{self, Broker},
};
use serde_json::json;
use tokio::sync::watch;

use super::status::Parked;
use crate::cli::args::{CliError, FAILED, INTERRUPTED, SourceArgs, stop_on_signals, store_source};
use crate::{
    catalog::{Catalog, Covers, Download, InFlight, ListOptions, Listed, Retried},
    cli::progress::{Reporter, print_json},
    programs::cluster::Outcome,
    programs::cluster::{Awaited, Cluster, ClusterError},
    runs::{list::StoreFilter, record::Events},
    settings::root::Settings,
};

/// How long `status` waits for a broker.
const LOOK_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// Return when every job is published, and leave the rest to the workers
    #[arg(long)]
    no_wait: bool,
    /// Only this store; may be given more than once
    #[arg(long = "store", value_name = "ID", conflicts_with = "limit")]
    only: Vec<String>,
    /// At most so many stores, from the beginning of the list
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Only stores whose snapshot is older than this, or that have none
    #[arg(long, value_name = "AGE", value_parser = humantime::parse_duration)]
    only_older_than: Option<Duration>,
    /// Retire the stores that are gone even if [source] lists far fewer than before
    #[arg(long)]
    allow_fewer_stores: bool,
    /// Download every row of every store, also where there is a snapshot to start from
    #[arg(long)]
    full: bool,
    /// List every store, also those that source.query leaves out since they have not changed (:since)
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RetryArgs {
    /// Only the failed stores of this run
    #[arg(value_name = "RUN")]
    run: Option<String>,
    /// Return when every job is published
    #[arg(long)]
    no_wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CancelArgs {
    /// The run, as `seedbed status` shows it
    #[arg(value_name = "RUN")]
    run: String,
}

pub(crate) async fn run(args: RunArgs, settings: Settings, json: bool) -> Result<u8, CliError> {
    settings.check_cluster()?;
    let source = store_source(&args.source, &settings)?;
    let stores = args.only.into_iter().map(StoreId::new);
    let filter = StoreFilter {
        stores: stores.collect::<Result<_, _>>()?,
        limit: args.limit,
        skip_unknown: false,
    };
    let options = ListOptions {
        kind: "run",
        in_flight: InFlight::Skip,
        only_older_than: args.only_older_than,
        // A list that was given for this once says nothing about the stores that it does not name.
        covers: Covers::all_if(args.source.stores.is_none() && filter.is_all()),
        allow_fewer: args.allow_fewer_stores,
        download: Download::everything_if(args.full),
        only_changed: !(args.full || args.all),
    };
    let parts = Parts::connect(settings).await?;
    let cluster = parts.cluster(json);
    let (listed, awaited) = cluster.start(&source, &filter, options).await?;
    tell_listed(&listed, json);
    parts.wait_unless(args.no_wait, &cluster, &awaited).await
}

pub(crate) async fn retry(args: RetryArgs, settings: Settings, json: bool) -> Result<u8, CliError> {
    settings.check_cluster()?;
    let run_id = args.run.as_deref().map(run_id).transpose()?;
    let parts = Parts::connect(settings).await?;
    let cluster = parts.cluster(json);
    let (retried, awaited) = cluster.retry(run_id).await?;
    tell_retried(&retried, json);
    parts.wait_unless(args.no_wait, &cluster, &awaited).await
}

pub(crate) async fn cancel(
    args: CancelArgs,
    settings: Settings,
    json: bool,
) -> Result<u8, CliError> {
    settings.check_cluster()?;
    let run_id = run_id(&args.run)?;
    let parts = Parts::connect(settings).await?;
    let cancelled = parts.cluster(json).cancel(run_id).await?;
    if json {
        print_json(&cancelled);
    } else {
        eprintln!(
            "{} stores will not be seeded; {} have started and go on",
            HumanCount(cancelled.cancelled),
            HumanCount(cancelled.going_on)
        );
    }
    parts.close().await;
    Ok(0)
}

/// Records what workers have reported so far.
pub(crate) async fn record_events(settings: &Settings, catalog: &Catalog) -> Result<(), CliError> {
    let broker = broker::connect(&settings.broker).await?;
    let events = Events::new(catalog.clone(), broker.clone(), watch::Sender::default());
    events.catch_up().await.map_err(ClusterError::from)?;
    broker.close().await;
    Ok(())
}

/// What is parked on the broker, if there is one and it answers. Those who only look need not wait for it.
pub(crate) async fn parked(settings: &Settings) -> Option<Parked> {
    if settings.broker.is_memory() {
        return None;
    }
    let mut config = settings.broker.clone();
    config.connect_timeout = config.connect_timeout.min(LOOK_TIMEOUT);
    let parked = async {
        let broker = broker::connect(&config).await?;
        let parked = Parked::of(broker.as_ref()).await;
        broker.close().await;
        parked
    };
    match parked.await {
        Ok(parked) => Some(parked),
        Err(error) => {
            eprintln!("parked messages are not shown: {error}");
            None
        }
    }
}

/// What every command here needs.
pub(crate) struct Parts {
    pub(crate) settings: Settings,
    pub(crate) catalog: Catalog,
    pub(crate) broker: Arc<dyn Broker>,
}

impl Parts {
    pub(crate) async fn connect(settings: Settings) -> Result<Self, CliError> {
        let catalog = Catalog::open(settings.catalog.url.expose()).await?;
        let broker = broker::connect(&settings.broker).await?;
        Ok(Self {
            settings,
            catalog,
            broker,
        })
    }

    fn cluster(&self, json: bool) -> Cluster {
        Cluster::new(
            self.settings.clone(),
            self.catalog.clone(),
            self.broker.clone(),
            Reporter::new(json),
        )
    }

    /// Follows runs to their end, and says by an exit code how they ended.
    async fn wait_unless(
        &self,
        no_wait: bool,
        cluster: &Cluster,
        awaited: &Awaited,
    ) -> Result<u8, CliError> {
        let code = if no_wait || awaited.runs.is_empty() {
            0
        } else {
            let stop = stop_on_signals("leaving; the run goes on, and `seedbed status` shows it")?;
            match cluster.follow(awaited, stop).await? {
                Outcome::Finished { all_well: true } => 0,
                Outcome::Finished { all_well: false } => FAILED,
                Outcome::Interrupted => INTERRUPTED,
            }
        };
        self.close().await;
        Ok(code)
    }

    pub(crate) async fn close(&self) {
        self.broker.close().await;
        self.catalog.close().await;
    }
}

fn run_id(text: &str) -> Result<RunId, CliError> {
    text.parse().map_err(|_| CliError::RunId(text.to_owned()))
}

fn tell_listed(listed: &Listed, json: bool) {
    if json {
        let mut event = json!(listed);
        event["type"] = "listed".into();
        return print_json(&event);
    }
    match listed.run_id {
        Some(run_id) => eprintln!("run {run_id}: {} stores", HumanCount(listed.jobs)),
        None => eprintln!("no store needs a new job"),
    }
    for (count, what) in [
        (listed.in_flight, "are being seeded already"),
        (listed.fresh, "have a snapshot that is young enough"),
        (listed.retired, "are no longer in the source, and retired"),
        (
            listed.added,
            "start over, since their last job did not succeed",
        ),
    ] {
        if count > 0 {
            eprintln!("{} stores {what}", HumanCount(count));
        }
    }
}

fn tell_retried(retried: &Retried, json: bool) {
    if json {
        let mut event = json!(retried);
        event["type"] = "retried".into();
        return print_json(&event);
    }
    eprintln!("{} stores start over", HumanCount(retried.jobs));
    if retried.skipped > 0 {
        eprintln!(
            "{} stay as they are, since a later run had a job for them or they are gone",
            HumanCount(retried.skipped)
        );
    }
}
