//! The server: binds its listeners, builds the state of each group of endpoints, and runs until it is told to stop.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use futures::future;
use seedbed_protocol::{
    broker::Broker,
    snapshots::{SnapshotRepository, SnapshotsConfig},
};
use seedbed_worker::settings::TokenConfig;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{
    access_log::AccessLog,
    connection::{Tls, Waits},
    error::HttpError,
    limits::Limits,
    listen,
    listeners::Listeners,
    routes::{States, health_routes, routes},
};
use crate::{
    catalog::{Catalog, FreshnessPromise},
    http::{
        api::{Api, Overviews},
        auth::{Access, Clients, Login},
        download::{DownloadError, Downloads},
        first_sync::FirstSyncs,
        peer::RateLimit,
        probes::{self, Probes},
        reports::Reports,
    },
    metrics::RequestMetrics,
    runs::{Demand, Runs, StoreList},
    settings::{CostConfig, DownloadConfig, LoginConfig, ReportsConfig, ServeConfig},
};

/// The parts of the process that requests reach.
pub struct HttpParts {
    /// The catalog.
    pub catalog: Catalog,
    /// The broker.
    pub broker: Arc<dyn Broker>,
    /// Starts, retries and cancels runs.
    pub runs: Arc<Runs>,
    /// The list of stores that runs are started over.
    pub stores: Arc<StoreList>,
    /// Where the snapshots are.
    pub snapshots: SnapshotRepository,
    /// Seeds stores that clients ask for; `None` when nothing is seeded on demand.
    pub demand: Option<Arc<Demand>>,
}

/// The settings that the server needs.
#[derive(Clone, Copy)]
pub struct HttpSections<'a> {
    pub serve: &'a ServeConfig,
    pub download: &'a DownloadConfig,
    pub reports: &'a ReportsConfig,
    pub cost: &'a CostConfig,
    pub login: &'a LoginConfig,
    pub snapshots: &'a SnapshotsConfig,
    pub token: &'a TokenConfig,
    /// `powersync.endpoint`; may be empty.
    pub powersync: &'a str,
    /// For how long jobs in flight may still upload something.
    pub late_uploads: Duration,
}

/// A server that listens.
pub struct HttpServer {
    listener: TcpListener,
    url: String,
    /// Speaks TLS at `listener`.
    tls: Option<Tls>,
    /// Where probes and metrics are asked for, if that is another place.
    health: Option<TcpListener>,
    serve: ServeConfig,
    states: States,
    /// Cancelled when the server stops: streams that do not end by themselves end then.
    stopping: CancellationToken,
}

impl HttpServer {
    /// Answers from `parts` what comes in at `listeners`.
    ///
    /// # Errors
    /// [`HttpError`] names the setting.
    pub async fn new(
        listeners: &Listeners,
        sections: HttpSections<'_>,
        parts: HttpParts,
    ) -> Result<Self, HttpError> {
        let serve = sections.serve.clone();
        let stopping = CancellationToken::new();
        let states = states(sections, parts, stopping.clone())?;
        states.downloads.tell_unless_signing().await;
        states.downloads.deliveries.read().await;
        let (listener, health) = listeners.sockets().map_err(|source| HttpError::Listen {
            address: serve.listen,
            source,
        })?;
        Ok(Self {
            listener,
            url: listeners.url(),
            tls: listeners.tls(),
            health,
            serve,
            states,
            stopping,
        })
    }

    /// Returns the URL of the address where it listens.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Returns the address where it answers probes and exposes metrics without a token, if there is one.
    pub fn health_address(&self) -> Option<SocketAddr> {
        self.health.as_ref()?.local_addr().ok()
    }

    /// Answers until `stop` is cancelled, and then ends what it has begun, for as long as `serve.grace`.
    pub async fn run(self, stop: CancellationToken) {
        let Self {
            listener,
            tls,
            health,
            serve,
            states,
            stopping,
            ..
        } = self;
        let stopped = async move {
            stop.cancelled().await;
            stopping.cancel();
        };
        let waits = Waits {
            grace: serve.grace,
            slow_reader: serve.slow_reader,
        };
        let health_routes = health_routes(&states);
        let health = async {
            if let Some(health) = health {
                listen::serve(health, None, health_routes, waits, future::pending()).await;
            }
            future::pending().await
        };
        let routes = routes(&states, &serve.cors_origins);
        tokio::select! {
            () = listen::serve(listener, tls.clone(), routes, waits, stopped) => {}
            never = health => match never {},
            never = keep_certificate_current(tls.as_ref()) => match never {},
            never = states.api.keep_overview_current() => match never {},
            never = states.limits.rate.keep_forgetting() => match never {},
            never = states.downloads.deliveries.keep_current() => match never {},
        }
    }
}

async fn keep_certificate_current(tls: Option<&Tls>) -> Infallible {
    match tls {
        Some(tls) => tls.keep_current().await,
        None => future::pending().await,
    }
}

/// The state of each group of endpoints.
fn states(
    sections: HttpSections<'_>,
    parts: HttpParts,
    stopping: CancellationToken,
) -> Result<States, HttpError> {
    let serve = sections.serve;
    let (catalog, broker) = (parts.catalog, parts.broker);
    let clients = Clients::new(sections.download).map_err(DownloadError::from)?;
    let clients = Arc::new(clients);
    let reports = Reports::new(sections.reports, catalog.clone(), clients.clone());
    let downloads = Downloads::new(
        sections.download,
        serve,
        sections.snapshots,
        catalog.clone(),
        clients,
        parts.snapshots.clone(),
        parts.demand,
    )?;
    let downloads = Arc::new(downloads);
    let first_syncs = FirstSyncs::new(
        sections.download,
        sections.powersync,
        catalog.clone(),
        parts.snapshots.clone(),
        downloads.clone(),
    );
    let login = Login::new(sections.login, serve.behind_proxy, catalog.clone());
    let login = login.map_err(HttpError::Client)?;
    let access = Access::new(serve, login.is_some(), catalog.clone());
    let own_keys = probes::own_keys(sections.token)?;
    let api = Api {
        catalog: catalog.clone(),
        broker: broker.clone(),
        snapshots: parts.snapshots,
        late_uploads: sections.late_uploads,
        runs: parts.runs,
        stores: parts.stores,
        overviews: Overviews::new(),
        has_login: login.is_some(),
        schedule: serve.schedule.clone(),
        trace_url: serve.trace_url.clone(),
        cost: sections.cost.clone(),
        promise: FreshnessPromise {
            age: serve.freshness_age,
            objective: serve.freshness_objective,
        },
        stopping: stopping.clone(),
    };
    let probes = Probes {
        catalog,
        broker,
        own_keys,
        stopping,
    };
    let limits = Limits {
        rate: RateLimit::new(serve.rate_limit),
        behind_proxy: serve.behind_proxy,
        request_timeout: serve.request_timeout,
    };
    let access_log = AccessLog {
        behind_proxy: serve.behind_proxy,
        metrics: RequestMetrics::new(),
    };
    Ok(States {
        downloads,
        first_syncs: Arc::new(first_syncs),
        reports: Arc::new(reports),
        api: Arc::new(api),
        probes: Arc::new(probes),
        access: Arc::new(access),
        login: login.map(Arc::new),
        limits: Arc::new(limits),
        access_log: Arc::new(access_log),
    })
}
