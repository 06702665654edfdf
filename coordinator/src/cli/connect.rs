//! What several commands open and read: the list of stores, catalog, broker, object storage, signals.

use std::{sync::Arc, time::Duration};

use seedbed_protocol::{
    RunId,
    broker::{self, Broker, BrokerError},
    process::{FAILED, INTERRUPTED, Signals},
    say,
    snapshots::SnapshotRepository,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{args::SourceArgs, exit::CliError, progress::ProgressPrinter};
use crate::{
    catalog::{Catalog, CatalogError},
    programs::{Awaited, Cluster, ClusterError, FollowOutcome},
    runs::{Recorder, StoreList},
    settings::Settings,
    source::{SourceError, StoreSource},
};

/// The list of stores of `--stores`, or of `[source]`.
pub(super) fn store_list(args: &SourceArgs, settings: &Settings) -> Result<StoreList, SourceError> {
    let stores = args.stores.as_deref();
    Ok(StoreList {
        source: StoreSource::new(stores, args.stores_format, &settings.source)?,
        // A list that was given for this command says nothing about the stores that it does not name.
        is_complete: stores.is_none(),
    })
}

/// A list of stores that can be read for every run.
pub(super) fn repeatable_store_list(
    args: &SourceArgs,
    settings: &Settings,
) -> Result<Arc<StoreList>, CliError> {
    let stores = store_list(args, settings)?;
    if args.stores.as_deref() == Some("-") {
        return Err(CliError::StdinTwice);
    }
    Ok(Arc::new(stores))
}

/// A run as people name it: by its id, or the beginning of it.
pub(super) struct RunName(String);

impl RunName {
    /// The run that `text` names, which has to look like an id.
    pub(super) fn new(text: &str) -> Result<Self, CliError> {
        let is_id = |c: char| c.is_ascii_hexdigit() || c == '-';
        match !text.is_empty() && text.chars().all(is_id) {
            true => Ok(Self(text.to_owned())),
            false => Err(CliError::RunId(text.to_owned())),
        }
    }

    /// Its id.
    pub(super) async fn find(&self, catalog: &Catalog) -> Result<RunId, CatalogError> {
        match self.0.parse() {
            Ok(run_id) => Ok(run_id),
            Err(_) => catalog.run_named(&self.0).await,
        }
    }
}

/// What the first signal is answered with once a run is listed.
pub(super) const LEAVING: &str = "leaving; the run continues, and `seedbed status` shows it";

/// Cancelled by the first Ctrl-C or SIGTERM, which is answered with `notice`; the second one ends the process at
/// once.
pub(super) fn stop_on_signals(notice: &'static str) -> Result<CancellationToken, CliError> {
    let signals = Signals::new().map_err(CliError::Signals)?;
    Ok(signals.cancelling(notice))
}

/// The catalog, which is not made if there is none.
pub(super) async fn existing_catalog(settings: &Settings) -> Result<Catalog, CliError> {
    settings.check_catalog()?;
    Ok(Catalog::open_existing(settings.catalog.url.expose()).await?)
}

/// The catalog, opened by `open`, and the object storage.
pub(super) async fn catalog_and_snapshots<'a, F>(
    settings: &'a Settings,
    open: impl FnOnce(&'a str) -> F,
) -> Result<(Catalog, SnapshotRepository), CliError>
where
    F: Future<Output = Result<Catalog, CatalogError>>,
{
    settings.check_catalog()?;
    // First, since opening the storage makes its directory, which is of no use without a catalog.
    let catalog = open(settings.catalog.url.expose()).await?;
    let snapshots = SnapshotRepository::open(&settings.snapshots)?;
    Ok((catalog, snapshots))
}

/// Records what workers have reported so far.
pub(super) async fn record_events(settings: &Settings, catalog: &Catalog) -> Result<(), CliError> {
    let broker = broker::connect(&settings.broker).await?;
    let recorder = Recorder::new(catalog.clone(), broker.clone(), watch::Sender::default());
    let recorded = recorder.catch_up().await;
    recorded.map_err(|error| ClusterError::NotStarted(error.into()))?;
    broker.close().await;
    Ok(())
}

/// How long a command that can do without the broker waits for it.
const BROKER_PATIENCE: Duration = Duration::from_secs(5);

/// The broker of a command that changes the catalog first, and needs it only to tell workers sooner: waits for it only a
/// moment, and goes on without it.
pub(super) async fn broker_soon(settings: &Settings) -> Result<Arc<dyn Broker>, BrokerError> {
    let mut config = settings.broker.clone();
    config.connect_timeout = config.connect_timeout.min(BROKER_PATIENCE);
    match broker::connect(&config).await {
        Err(error) if error.may_pass() => {
            say!("continuing without the broker: {error}");
            broker::start(&settings.broker)
        }
        connected => connected,
    }
}

/// What every command on a cluster needs.
pub(super) struct ClusterParts {
    pub(super) catalog: Catalog,
    pub(super) broker: Arc<dyn Broker>,
}

impl ClusterParts {
    /// A coordinator for this command.
    pub(super) fn cluster(&self, settings: &Settings, json: bool) -> Result<Cluster, CliError> {
        let (catalog, broker) = (self.catalog.clone(), self.broker.clone());
        let observer = ProgressPrinter::observer(json);
        Ok(Cluster::new(settings, catalog, broker, observer)?)
    }

    /// Follows runs to their end, unless that is not wanted, and returns the exit code.
    pub(super) async fn follow(
        &self,
        cluster: &Cluster,
        awaited: &Awaited,
        no_wait: bool,
        stop: CancellationToken,
    ) -> Result<u8, CliError> {
        let code = if no_wait || awaited.runs.is_empty() {
            0
        } else {
            match cluster.follow(awaited, stop).await? {
                FollowOutcome::Finished { all_well: true } => 0,
                FollowOutcome::Finished { all_well: false } => FAILED,
                FollowOutcome::Interrupted => INTERRUPTED,
            }
        };
        self.close().await;
        Ok(code)
    }

    pub(super) async fn close(&self) {
        self.broker.close().await;
        self.catalog.close().await;
    }
}
