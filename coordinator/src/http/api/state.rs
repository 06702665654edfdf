//! State of the API, and the overview that all watchers share.

use std::{convert::Infallible, sync::Arc, time::Duration};

use chrono::Utc;
use seedbed_protocol::{
    broker::{Broker, Queue},
    snapshots::SnapshotRepository,
};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::types::{Messages, Overview, ParkedMessages, Run};
use crate::{
    catalog::Catalog,
    http::problem::Problem,
    runs::{Parked, RunError, Runs, Standing, StoreList, Untaken},
    settings::{CostConfig, Schedule},
};

/// Runs of an overview.
const OVERVIEW_RUNS: i64 = 20;

/// Between two overviews while a browser watches.
const OVERVIEW_PAUSE: Duration = Duration::from_secs(1);

/// Parked jobs that an overview counts: it is made every second.
const COUNTED_PARKED: i64 = 10_000;

/// How long the broker has to say what waits.
const BROKER_TIMEOUT: Duration = Duration::from_secs(1);

/// What requests to the API are answered from.
pub(crate) struct Api {
    pub(crate) catalog: Catalog,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) snapshots: SnapshotRepository,
    pub(crate) runs: Arc<Runs>,
    pub(crate) stores: Arc<StoreList>,
    pub(crate) overviews: Overviews,
    /// For how long jobs in flight of a forgotten store may still upload something.
    pub(crate) late_uploads: Duration,
    pub(crate) schedule: Option<Schedule>,
    pub(crate) trace_url: Option<String>,
    pub(crate) cost: CostConfig,
    /// Cancelled when the server stops: streams that do not end by themselves end then.
    pub(crate) stopping: CancellationToken,
}

/// The overview that all watchers are shown. One read serves all of them, and nothing is read while none watches.
pub(crate) struct Overviews {
    shown: watch::Sender<Option<Overview>>,
    /// Notified when a watcher comes.
    watched: Notify,
}

impl Overviews {
    pub(crate) fn new() -> Self {
        Self {
            shown: watch::Sender::new(None),
            watched: Notify::new(),
        }
    }

    pub(super) fn watch(&self) -> watch::Receiver<Option<Overview>> {
        let receiver = self.shown.subscribe();
        self.watched.notify_one();
        receiver
    }
}

impl Api {
    /// Reads the overview for its watchers, again and again.
    pub(crate) async fn keep_overview_current(&self) -> Infallible {
        let Overviews { shown, watched } = &self.overviews;
        loop {
            if shown.receiver_count() == 0 {
                watched.notified().await;
            }
            match self.overview().await {
                Ok(now) => {
                    shown.send_if_modified(|before| {
                        let differs = before.as_ref().is_none_or(|before| !before.is_like(&now));
                        if differs {
                            *before = Some(now);
                        }
                        differs
                    });
                }
                Err(problem) => warn!("the overview stays as it is: {problem:?}"),
            }
            tokio::time::sleep(OVERVIEW_PAUSE).await;
        }
    }

    /// The overview of now.
    pub(super) async fn overview(&self) -> Result<Overview, Problem> {
        let now = Utc::now();
        let runs = self.catalog.runs(OVERVIEW_RUNS).await?;
        let newest = runs.first().map(|run| run.run_id);
        let mut runs: Vec<Run> = runs.into_iter().map(Run::from).collect();
        if let (Some(newest), Some(run_id)) = (runs.first_mut(), newest) {
            newest.config_changes = self.catalog.config_changes(run_id).await?;
        }
        let freshness = self.catalog.freshness(now).await?;
        let messages = tokio::time::timeout(BROKER_TIMEOUT, self.messages()).await;
        let (parked, waiting, untaken) = match messages {
            Ok(Ok((parked, waiting, untaken))) => (Some(parked), Some(waiting), Some(untaken)),
            _ => (None, None, None),
        };
        let workers = self.catalog.workers().await?;
        let schedule = self.schedule.as_ref();
        Ok(Overview {
            now,
            version: env!("CARGO_PKG_VERSION"),
            stores: freshness.stores(),
            freshness: freshness.into(),
            quarantined: self
                .catalog
                .count_quarantined(self.runs.quarantine())
                .await?,
            broker: self.broker.trouble().map(Into::into),
            parked,
            waiting,
            untaken,
            workers: workers.as_slice().into(),
            current_run: runs.iter().find(|run| run.is_running()).cloned(),
            runs,
            trace_url: self.trace_url.clone(),
            scheduled: schedule.and_then(|schedule| schedule.next(now)),
        })
    }

    /// Parked and waiting messages, and how many jobs no worker takes.
    async fn messages(&self) -> Result<(ParkedMessages, Messages, u64), RunError> {
        let broker = self.broker.as_ref();
        let parked = Parked::of(&self.catalog, broker, COUNTED_PARKED).await?;
        let standing = Standing::of(broker).await?;
        let waiting = Messages {
            jobs: standing.waiting,
            events: broker.waiting(Queue::Events).await?,
        };
        let Untaken(untaken) = standing.untaken();
        Ok((parked.into(), waiting, untaken))
    }
}
