//! `seedbed serve`: everything that runs without commands. Events are recorded, listed runs are published and
//! supervised, runs start as scheduled and on demand, queues are measured, and requests are answered.
//!
//! Several processes may do so at once, and need no leader: each step is one that only one of them can make.

use std::{net::SocketAddr, sync::Arc};

use futures::future;
use seedbed_protocol::{
    broker::Broker, objects::StorageError, settings::SettingsError, snapshots::SnapshotRepository,
};
use tokio::{sync::watch, task::JoinError};
use tokio_util::sync::CancellationToken;

use super::publishing::{job_maker, late_uploads, publisher, quarantine, supervisor};
use crate::{
    catalog::{Catalog, FreshnessPromise},
    http::{HttpError, HttpParts, HttpSections, HttpServer, Listeners},
    runs::{
        DeadLetters, Demand, Fleet, Gauges, Notifier, RecordError, Recorder, Reseeder, RunError,
        Runs, StoreList, Supervisor, keep_schedule,
    },
    settings::{Schedule, Settings},
    upkeep::{Keep, keep_clean, keep_freshness, keep_short},
};

/// Why serving stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The settings are wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// There is no server.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The object storage cannot be opened.
    #[error(transparent)]
    Snapshots(#[from] StorageError),
    /// What workers report can no longer be recorded.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Runs can no longer be supervised.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A part of it ended without a reason.
    #[error("a part of the server ended unexpectedly: {0}")]
    Ended(#[from] JoinError),
}

impl ServeError {
    /// Returns whether a person has to change the settings or the list of stores before it can succeed.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Settings(_) => true,
            Self::Http(error) => error.is_usage(),
            Self::Snapshots(error) => !error.is_transient(),
            Self::Run(error) => error.is_usage(),
            Self::Record(error) => error.is_usage(),
            Self::Ended(_) => false,
        }
    }

    /// Returns whether it could not start, and the same call may succeed later.
    pub fn may_start_later(&self) -> bool {
        match self {
            Self::Http(error) => !error.is_usage(),
            Self::Snapshots(error) => error.is_transient(),
            Self::Settings(_) | Self::Run(_) | Self::Record(_) | Self::Ended(_) => false,
        }
    }
}

/// What a server works on.
pub struct ServiceParts {
    /// The catalog.
    pub catalog: Catalog,
    /// The broker.
    pub broker: Arc<dyn Broker>,
    /// Where the snapshots are.
    pub snapshots: SnapshotRepository,
    /// The list of stores, read again for every run.
    pub stores: Arc<StoreList>,
}

/// A server that listens. Nothing is done before [`Self::run`].
pub struct Service {
    http: HttpServer,
    gauges: Gauges,
    broker: Arc<dyn Broker>,
    recorder: Recorder,
    dead_letters: DeadLetters,
    fleet: Fleet,
    supervisor: Supervisor,
    runs: Arc<Runs>,
    stores: Arc<StoreList>,
    demand: Option<Arc<Demand>>,
    reseeder: Option<Reseeder>,
    schedule: Option<Schedule>,
    catalog: Catalog,
    keep: Keep,
    promise: FreshnessPromise,
    snapshots: SnapshotRepository,
    notifier: Option<Notifier>,
}

impl Service {
    /// Listens for requests about these parts.
    ///
    /// # Errors
    /// [`ServeError`] names what cannot be used.
    pub async fn open(settings: &Settings, parts: ServiceParts) -> Result<Self, ServeError> {
        let listeners = Listeners::bind(&settings.serve).await?;
        Self::on(&listeners, settings, parts).await
    }

    /// Answers requests about these parts that come in at `listeners`.
    ///
    /// # Errors
    /// [`ServeError`] names what cannot be used.
    pub async fn on(
        listeners: &Listeners,
        settings: &Settings,
        parts: ServiceParts,
    ) -> Result<Self, ServeError> {
        let ServiceParts {
            catalog,
            broker,
            snapshots,
            stores,
        } = parts;
        let jobs = job_maker(settings)?;
        let publisher = publisher(settings, &jobs, &catalog, broker.clone());
        let publisher = Arc::new(publisher);
        let supervisor = supervisor(settings, &catalog, broker.clone(), publisher);
        let listed = supervisor.listed();
        let quarantine = quarantine(&settings.sync);
        let runs = Runs::new(jobs, catalog.clone(), broker.clone(), listed, quarantine);
        let runs = Arc::new(runs);
        let demand = settings.download.on_demand.then(|| {
            let pause = settings.download.on_demand_pause;
            let demand = Demand::new(catalog.clone(), runs.clone(), stores.clone(), pause);
            Arc::new(demand)
        });
        let parts = HttpParts {
            catalog: catalog.clone(),
            broker: broker.clone(),
            runs: runs.clone(),
            stores: stores.clone(),
            snapshots: snapshots.clone(),
            demand: demand.clone(),
        };
        let promise = FreshnessPromise {
            age: settings.serve.freshness_age,
            objective: settings.serve.freshness_objective,
        };
        let sections = HttpSections {
            serve: &settings.serve,
            download: &settings.download,
            reports: &settings.reports,
            cost: &settings.cost,
            login: &settings.login,
            snapshots: &settings.snapshots,
            token: &settings.token,
            powersync: &settings.powersync.endpoint,
            late_uploads: late_uploads(&settings.worker),
        };
        let recorder = Recorder::new(catalog.clone(), broker.clone(), watch::Sender::default());
        let reseeder = settings.sync.reseed_on_config_change.then(|| {
            let generation = recorder.generation();
            Reseeder::new(catalog.clone(), runs.clone(), stores.clone(), generation)
        });
        let is_local = settings.broker.is_memory();
        let notifier = Notifier::new(catalog.clone(), &settings.notify, promise, is_local);
        Ok(Self {
            http: HttpServer::new(listeners, sections, parts).await?,
            gauges: Gauges::new(catalog.clone(), quarantine, promise),
            dead_letters: DeadLetters::new(catalog.clone(), broker.clone(), &settings.worker),
            fleet: Fleet::new(catalog.clone(), broker.clone()),
            recorder,
            reseeder,
            broker,
            supervisor,
            runs,
            stores,
            demand,
            schedule: settings.serve.schedule.clone(),
            catalog,
            keep: Keep {
                history: settings.catalog.keep_history,
                reports: settings.reports.keep,
                audit: settings.catalog.keep_audit,
            },
            promise,
            snapshots,
            notifier,
        })
    }

    /// Returns the address where it answers requests.
    pub fn url(&self) -> String {
        self.http.url()
    }

    /// Returns the address where it answers probes and exposes metrics without a token, if there is one.
    pub fn health_address(&self) -> Option<SocketAddr> {
        self.http.health_address()
    }

    /// Controls the runs that this server publishes.
    pub fn runs(&self) -> Arc<Runs> {
        self.runs.clone()
    }

    /// Serves until `stop` is cancelled. Then requests end first, and what was reported by then is recorded.
    ///
    /// # Errors
    /// [`ServeError`] when a part of it cannot continue.
    pub async fn run(self, stop: CancellationToken) -> Result<(), ServeError> {
        // Cancelled too when a part fails: the others stop as they do otherwise.
        let stop = stop.child_token();
        let part = |ended: Result<(), ServeError>| {
            stop.cancel();
            ended
        };
        let serving = async {
            let serving = tokio::spawn(self.http.run(stop.clone()));
            part(serving.await.map_err(Into::into))
        };
        let recording = async {
            let recorded = self.recorder.keep_running(stop.clone()).await;
            part(recorded.map_err(Into::into))
        };
        let supervising = async {
            let supervised = self.supervisor.run(stop.clone()).await;
            part(supervised.map_err(Into::into))
        };
        let seeding_on_demand = async {
            if let Some(demand) = &self.demand {
                demand.run(&stop).await;
            }
        };
        let starting_as_scheduled = async {
            if let Some(schedule) = &self.schedule {
                keep_schedule(schedule, &self.runs, &self.stores, &stop).await;
            }
        };
        let reseeding = async {
            if let Some(reseeder) = self.reseeder {
                reseeder.run(&stop).await;
            }
        };
        let telling = async {
            if let Some(notifier) = &self.notifier {
                notifier.run(&stop).await;
            }
        };
        let measuring = self.gauges.run(self.broker.as_ref(), &stop);
        let queues = future::join(self.dead_letters.run(&stop), self.fleet.run(&stop));
        let forgetting = future::join3(
            keep_freshness(&self.catalog, self.promise.age, &stop),
            keep_short(&self.catalog, self.keep, &stop),
            keep_clean(&self.catalog, &self.snapshots, &stop),
        );
        let triggers = future::join5(
            future::join3(seeding_on_demand, reseeding, telling),
            starting_as_scheduled,
            measuring,
            forgetting,
            queues,
        );
        let (served, recorded, supervised, _) =
            future::join4(serving, recording, supervising, triggers).await;
        served.and(recorded).and(supervised)
    }
}
