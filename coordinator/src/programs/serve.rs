//! `seedbed serve`: everything that goes on while nobody gives commands. Events are recorded, listed runs are
//! published, runs start as scheduled, and requests are answered. Several processes may do so at once.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::future;
use seedbed_protocol::{
    broker::Broker,
    snapshots::{SnapshotStore, SnapshotStoreError},
};
use tokio::{sync::watch, task::JoinError};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::runs::control::runs as operator;
use crate::{
    catalog::Catalog,
    http::server::routes::{HttpError, HttpParts, HttpServer},
    metrics::Standing,
    runs::{
        control::runs::Operator,
        list::{RunError, StoreFilter},
        publish::Publisher,
        record::{Events, EventsError},
        supervise::Tender,
        trigger::demand::Demand,
    },
    settings::{root::Settings, schedule::Schedule},
    source::record::StoreSource,
};

/// The longest that a schedule is waited for at a time: the clock may be set meanwhile.
const LOOK: std::time::Duration = std::time::Duration::from_secs(20);

/// Between two tries at the same scheduled run.
const RETRY: std::time::Duration = std::time::Duration::from_secs(30);

/// Why serving stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// There is no server.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The snapshot store cannot be opened.
    #[error(transparent)]
    Snapshots(#[from] SnapshotStoreError),
    /// What workers report can no longer be recorded.
    #[error(transparent)]
    Events(#[from] EventsError),
    /// Runs can no longer be looked after.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A part of it ended without a reason.
    #[error("a part of the server ended unexpectedly: {0}")]
    Ended(#[from] JoinError),
}

/// What serves.
pub struct Service {
    http: HttpServer,
    standing: Standing,
    broker: Arc<dyn Broker>,
    events: Events,
    tender: Tender,
    operator: Arc<Operator>,
    demand: Option<Arc<Demand>>,
    schedule: Option<Schedule>,
}

impl Service {
    /// Listens for requests about these parts. Nothing is done before [`Self::run`]. `source_is_all`: see
    /// [`Operator::new`].
    ///
    /// # Errors
    /// [`ServeError`] names what cannot be used.
    pub async fn open(
        settings: &Settings,
        catalog: Catalog,
        broker: Arc<dyn Broker>,
        snapshots: SnapshotStore,
        source: StoreSource,
        source_is_all: bool,
    ) -> Result<Self, ServeError> {
        let publisher = Publisher::new(catalog.clone(), broker.clone(), settings.clone());
        let tender = Tender::new(
            catalog.clone(),
            broker.clone(),
            Arc::new(publisher),
            settings.worker.job_deadline,
        );
        let operator = Arc::new(Operator::new(
            settings.clone(),
            catalog.clone(),
            broker.clone(),
            source,
            source_is_all,
            tender.listed(),
        ));
        let demand = settings.download.on_demand.then(|| {
            let pause = settings.download.on_demand_pause;
            Arc::new(Demand::new(catalog.clone(), operator.clone(), pause))
        });
        let parts = HttpParts {
            catalog: catalog.clone(),
            broker: broker.clone(),
            operator: operator.clone(),
            snapshots,
            demand: demand.clone(),
        };
        Ok(Self {
            http: HttpServer::bind(settings, parts).await?,
            standing: Standing::new(catalog.clone()),
            events: Events::new(catalog, broker.clone(), watch::Sender::default()),
            broker,
            tender,
            operator,
            demand,
            schedule: settings.serve.schedule.clone(),
        })
    }

    /// Where it answers requests.
    pub fn address(&self) -> std::net::SocketAddr {
        self.http.address()
    }

    /// Where it answers probes and says its metrics without a token, if anywhere.
    pub fn health_address(&self) -> Option<std::net::SocketAddr> {
        self.http.health_address()
    }

    /// Starts and repeats runs, for others than those who make requests.
    pub fn operator(&self) -> Arc<Operator> {
        self.operator.clone()
    }

    /// Serves until `stop` is cancelled. Then requests end first, and what was reported by then is recorded.
    ///
    /// # Errors
    /// [`ServeError`] when a part of it cannot go on.
    pub async fn run(self, stop: CancellationToken) -> Result<(), ServeError> {
        // Cancelled too when a part fails: the others stop as they do otherwise.
        let stop = stop.child_token();
        let part = |ended: Result<(), ServeError>| {
            stop.cancel();
            ended
        };
        let demand = async {
            if let Some(demand) = &self.demand {
                demand.keep_seeding(&stop).await;
            }
        };
        let standing = self.standing.keep_measuring(self.broker.as_ref(), &stop);
        let (served, recorded, tended, (), ()) = future::join5(
            async {
                let serving = tokio::spawn(self.http.run(stop.clone()));
                part(serving.await.map_err(Into::into))
            },
            async {
                part(
                    self.events
                        .keep_running(stop.clone())
                        .await
                        .map_err(Into::into),
                )
            },
            async {
                part(
                    self.tender
                        .keep_tending(stop.clone())
                        .await
                        .map_err(Into::into),
                )
            },
            keep_schedule(self.schedule.as_ref(), &self.operator, &stop),
            async {
                future::join(demand, standing).await;
            },
        )
        .await;
        served.and(recorded).and(tended)
    }
}

/// Starts a run whenever `schedule` says so. Of several coordinators, one does.
async fn keep_schedule(schedule: Option<&Schedule>, operator: &Operator, stop: &CancellationToken) {
    let Some(schedule) = schedule else {
        return;
    };
    let mut after = Utc::now();
    while let Some(due) = schedule.next(after) {
        while let Ok(left) = (due - Utc::now()).to_std() {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(left.min(LOOK)) => {}
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = start_scheduled(schedule, operator, due) => {}
        }
        // Times that went by meanwhile are not made up for.
        after = Utc::now().max(due);
    }
}

/// Starts the run of `due`, if nobody else does. Should the source or the catalog be away, tries again until the next
/// time.
async fn start_scheduled(schedule: &Schedule, operator: &Operator, due: DateTime<Utc>) {
    let next = schedule.next(due);
    let mut claimed = false;
    loop {
        let started = async {
            claimed = claimed || operator.claim(due).await?;
            if !claimed {
                return Ok(None);
            }
            let all = StoreFilter::default();
            operator
                .start(&all, operator::options("schedule", true))
                .await
                .map(Some)
        };
        match started.await {
            Ok(Some(listed)) => {
                info!(run = ?listed.run_id, jobs = listed.jobs, "started as scheduled");
                return;
            }
            Ok(None) => return,
            Err(error) => error!("the run of {due} did not start: {error}"),
        }
        if next.is_none_or(|next| Utc::now() + RETRY >= next) {
            return;
        }
        tokio::time::sleep(RETRY).await;
    }
}
