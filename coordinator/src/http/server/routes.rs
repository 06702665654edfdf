//! The HTTP server: downloads for clients, the API and the dashboard for administrators, probes for whatever keeps
//! it running.
//!
//! ```text
//!   /database ─▶ clients: whose token? ─▶ catalog ─▶ a URL, signed by the object store or by signed_url
//!   /snapshots/… (directories only) ─▶ signed_url: is it ours, is it still valid? ─▶ the file
//!   /api/… ─▶ admin: the token? ─▶ catalog, operator
//!   /, /assets/… ─▶ dashboard, which asks /api/…
//! ```

use std::{net::SocketAddr, sync::Arc};

use axum::{Router, middleware};
use futures::future;
use seedbed_protocol::{
    broker::Broker,
    snapshots::{SnapshotStore, SnapshotStoreError},
};
use seedbed_worker::token::TokenError;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    catalog::Catalog,
    metrics::RequestMetrics,
    runs::{control::runs::Operator, trigger::demand::Demand},
    settings::root::Settings,
};

use super::limits::RateLimit;
use crate::http::{
    api::Overviews,
    auth::{admin::AdminAccess, clients::Clients},
    download::database::Downloads,
};
pub use crate::{
    http::auth::clients::KeyError,
    settings::serve::{DownloadConfig, ServeConfig},
};

use super::{access_log as access, limits, listen};
use crate::http::{
    api,
    auth::admin,
    dashboard,
    download::{database as download, files},
    probes,
};

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// It cannot listen.
    #[error("cannot listen at {address} (serve.listen): {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// The system's word.
        source: std::io::Error,
    },
    /// It cannot listen for probes.
    #[error("cannot listen at {address} (serve.health_listen): {source}")]
    ListenHealth {
        /// Where.
        address: SocketAddr,
        /// The system's word.
        source: std::io::Error,
    },
    /// Clients' tokens cannot be checked.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The public half of Seedbed's own key cannot be published.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// URLs of the object store cannot be signed.
    #[error(transparent)]
    Snapshots(#[from] SnapshotStoreError),
}

/// What requests are answered from.
pub(crate) struct App {
    pub(crate) catalog: Catalog,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) operator: Arc<Operator>,
    pub(crate) serve: ServeConfig,
    pub(crate) admin: AdminAccess,
    pub(crate) clients: Clients,
    pub(crate) downloads: Downloads,
    /// Seedbed's own public keys, as JSON.
    pub(crate) own_keys: String,
    pub(crate) rate_limit: RateLimit,
    pub(crate) metrics: RequestMetrics,
    pub(crate) overviews: Overviews,
    /// Cancelled when the server stops: what would go on forever ends.
    pub(crate) stopping: CancellationToken,
}

/// The parts of the process that requests reach.
pub struct HttpParts {
    /// What is known.
    pub catalog: Catalog,
    /// Where messages wait.
    pub broker: Arc<dyn Broker>,
    /// What can be done.
    pub operator: Arc<Operator>,
    /// Where the snapshots are.
    pub snapshots: SnapshotStore,
    /// Stores that clients wait for; `None` when nothing is seeded on demand.
    pub demand: Option<Arc<Demand>>,
}

/// A server that listens.
pub struct HttpServer {
    listener: TcpListener,
    address: SocketAddr,
    /// Where probes and metrics are asked for, if that is another place.
    health: Option<TcpListener>,
    app: Arc<App>,
}

impl HttpServer {
    /// Listens where `settings` say, and answers from `parts`.
    ///
    /// # Errors
    /// [`HttpError`] names the setting.
    pub async fn bind(settings: &Settings, parts: HttpParts) -> Result<Self, HttpError> {
        let serve = settings.serve.clone();
        let listening = |source| HttpError::Listen {
            address: serve.listen,
            source,
        };
        let downloads = Downloads::new(settings, parts.snapshots, parts.demand)?;
        let clients = Clients::new(&settings.download)?;
        let own_keys = probes::own_keys(&settings.token)?;
        let listener = TcpListener::bind(serve.listen).await.map_err(listening)?;
        let address = listener.local_addr().map_err(listening)?;
        let health = match serve.health_listen {
            Some(address) => {
                let listener = TcpListener::bind(address).await;
                Some(listener.map_err(|source| HttpError::ListenHealth { address, source })?)
            }
            None => None,
        };
        let app = App {
            catalog: parts.catalog,
            broker: parts.broker,
            operator: parts.operator,
            admin: AdminAccess::new(&serve),
            clients,
            downloads,
            own_keys,
            rate_limit: RateLimit::new(serve.rate_limit),
            metrics: RequestMetrics::new(),
            overviews: Overviews::new(),
            serve,
            stopping: CancellationToken::new(),
        };
        Ok(Self {
            listener,
            address,
            health,
            app: Arc::new(app),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it answers probes and says its metrics without a token, if anywhere.
    pub fn health_address(&self) -> Option<SocketAddr> {
        self.health.as_ref()?.local_addr().ok()
    }

    /// Answers until `stop` is cancelled, and then ends what it has begun, for as long as `serve.grace`.
    pub async fn run(self, stop: CancellationToken) {
        let Self {
            listener,
            health,
            app,
            ..
        } = self;
        let grace = app.serve.grace;
        let stopping = app.stopping.clone();
        let stopped = async move {
            stop.cancelled().await;
            stopping.cancel();
        };
        let health_routes = health_routes(app.clone());
        let health = async {
            if let Some(health) = health {
                listen::serve(health, health_routes, grace, future::pending()).await;
            }
            future::pending().await
        };
        tokio::select! {
            () = listen::serve(listener, routes(app.clone()), grace, stopped) => {}
            never = health => match never {},
            never = api::keep_looking(app.clone()) => match never {},
            never = limits::keep_forgetting(app) => match never {},
        }
    }
}

/// For whatever keeps the process running and whatever measures it, which have no token. Goes on to the very end.
fn health_routes(app: Arc<App>) -> Router {
    let (routes, _) = probes::routes().merge(probes::metrics()).split_for_parts();
    routes.with_state(app)
}

fn routes(app: Arc<App>) -> Router {
    let downloads = download::routes()
        .merge(files::routes())
        .layer(limits::cross_origin(&app.serve.cors_origins));
    let administrators = middleware::from_fn_with_state(app.clone(), admin::require_admin);
    let (routes, document) = OpenApiRouter::with_openapi(api::document())
        .merge(downloads)
        .merge(probes::routes())
        .merge(
            api::routes()
                .merge(probes::metrics())
                .route_layer(administrators),
        )
        .split_for_parts();
    routes
        .merge(api::documentation(document))
        .merge(dashboard::routes())
        .fallback(limits::unknown)
        .with_state(app.clone())
        .layer(limits::body_size())
        .layer(middleware::from_fn_with_state(app.clone(), limits::in_time))
        .layer(middleware::from_fn_with_state(
            app.clone(),
            limits::in_moderation,
        ))
        .layer(limits::panics())
        .layer(middleware::from_fn(limits::security_headers))
        .layer(middleware::from_fn_with_state(app, access::log))
}
