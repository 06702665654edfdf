//! State of the API, and the overview that all watchers share.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

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
    catalog::{Catalog, EndedRuns, FreshnessPromise},
    http::problem::Problem,
    runs::{Parked, RunError, Runs, Standing, StoreList, Untaken},
    settings::{CostConfig, Schedule},
};

/// Runs of an overview.
const OVERVIEW_RUNS: i64 = 20;

/// Between two overviews while a browser watches.
const OVERVIEW_PAUSE: Duration = Duration::from_secs(1);

/// An overview that takes longer than this to read, as of very many stores, is shown for so many times as long, so that those who
/// watch cost the catalog a small share of its time.
const QUICK: Duration = Duration::from_millis(100);
const SHOWN_FOR: u32 = 10;

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
    /// Whether people sign in by a provider of logins.
    pub(crate) has_login: bool,
    pub(crate) schedule: Option<Schedule>,
    pub(crate) trace_url: Option<String>,
    pub(crate) cost: CostConfig,
    /// What is promised of the snapshots.
    pub(crate) promise: FreshnessPromise,
    /// Cancelled when the server stops: streams that do not end by themselves end then.
    pub(crate) stopping: CancellationToken,
}

/// The overview that all watchers are shown. One read serves all of them, and nothing is read while none watches.
pub(crate) struct Overviews {
    shown: watch::Sender<Option<Overview>>,
    /// The last one that took long to read.
    last: Mutex<Option<LastOverview>>,
    /// Totals of runs that it has shown before.
    ended: EndedRuns,
    /// Notified when a watcher comes.
    watched: Notify,
}

/// An overview that took long to read.
struct LastOverview {
    overview: Overview,
    read_at: Instant,
    took: Duration,
}

impl Overviews {
    pub(crate) fn new() -> Self {
        Self {
            shown: watch::Sender::new(None),
            last: Mutex::default(),
            ended: EndedRuns::default(),
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
        let Overviews { shown, watched, .. } = &self.overviews;
        loop {
            if shown.receiver_count() == 0 {
                watched.notified().await;
            }
            let started = Instant::now();
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
            let pause = OVERVIEW_PAUSE.max(started.elapsed() * SHOWN_FOR);
            tokio::time::sleep(pause).await;
        }
    }

    /// The overview of now, or the last one if it took so long to read that it is still shown.
    pub(super) async fn overview(&self) -> Result<Overview, Problem> {
        let last = || (self.overviews.last.lock()).unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = &*last()
            && last.read_at.elapsed() < last.took * SHOWN_FOR
        {
            return Ok(last.overview.clone());
        }
        let read_at = Instant::now();
        let overview = self.read_overview().await?;
        let took = read_at.elapsed();
        *last() = (took > QUICK).then(|| LastOverview {
            overview: overview.clone(),
            read_at,
            took,
        });
        Ok(overview)
    }

    async fn read_overview(&self) -> Result<Overview, Problem> {
        let now = Utc::now();
        let ended = &self.overviews.ended;
        let runs = self.catalog.runs_remembering(OVERVIEW_RUNS, ended).await?;
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
            service_wait: self.catalog.waiting_for_service(now).await?,
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
