//! Probes for orchestrators, metrics for Prometheus, and Seedbed's own public keys for PowerSync:
//! `/healthz`, `/readyz`, `/metrics` and `/.well-known/jwks.json`.

use std::{borrow::Cow, sync::Arc};

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use seedbed_protocol::{
    broker::{Broker, Trouble},
    telemetry::{METRICS_CONTENT_TYPE, metrics_text},
};
use seedbed_worker::{
    powersync::{TokenError, public_jwks},
    settings::TokenConfig,
};
use tokio_util::sync::CancellationToken;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::responses::{NotAdmin, RateLimited};
use crate::catalog::Catalog;

/// How long PowerSync may keep the keys.
const KEYS_CACHED: &str = "public, max-age=300";

/// What probes are answered from.
pub(super) struct Probes {
    pub(super) catalog: Catalog,
    pub(super) broker: Arc<dyn Broker>,
    /// Seedbed's own public keys, as JSON.
    pub(super) own_keys: String,
    /// Cancelled when the server stops.
    pub(super) stopping: CancellationToken,
}

/// The probes and the keys, which need no token.
pub(super) fn routes<S: Clone + Send + Sync + 'static>(probes: Arc<Probes>) -> OpenApiRouter<S> {
    OpenApiRouter::new()
        .routes(routes!(alive))
        .routes(routes!(ready))
        .routes(routes!(keys))
        .with_state(probes)
}

/// The metrics, which need the admin token where other requests come in.
pub(super) fn metrics<S: Clone + Send + Sync + 'static>() -> OpenApiRouter<S> {
    OpenApiRouter::new().routes(routes!(measured))
}

/// The public half of the key that Seedbed's own tokens are signed with, as a JWK set; an empty one for HS256, whose
/// key has no public half.
pub(super) fn own_keys(config: &TokenConfig) -> Result<String, TokenError> {
    let keys = public_jwks(config)?;
    Ok(serde_json::to_string(&keys).expect("keys are plain JSON"))
}

/// Seedbed's own public keys, as a JWK set for PowerSync's jwks_uri
#[utoipa::path(
    get,
    path = "/.well-known/jwks.json",
    tag = "probes",
    responses(
        (status = 200, description = "The keys", content_type = "application/json", body = Object),
        RateLimited,
    ),
)]
async fn keys(State(probes): State<Arc<Probes>>) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, KEYS_CACHED),
    ];
    (headers, probes.own_keys.clone())
}

/// The metrics of this process, for Prometheus
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "probes",
    security(("admin" = [])),
    responses(
        (status = 200, description = "The metrics", content_type = "text/plain", body = String),
        NotAdmin,
        RateLimited,
    ),
)]
async fn measured() -> impl IntoResponse {
    let headers = [(header::CONTENT_TYPE, METRICS_CONTENT_TYPE)];
    (headers, metrics_text())
}

/// Whether the process is alive
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "probes",
    responses(
        (status = 200, description = "It is alive", content_type = "text/plain", body = String),
        RateLimited,
    ),
)]
async fn alive() -> &'static str {
    "ok\n"
}

/// Readiness: whether this server should get requests
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "probes",
    responses(
        (status = 200, description = "The server is ready; says so if the broker is away or takes no messages", content_type = "text/plain", body = String),
        RateLimited,
        (status = 503, description = "Why the server is not ready", content_type = "text/plain", body = String),
    ),
)]
async fn ready(State(probes): State<Arc<Probes>>) -> (StatusCode, Cow<'static, str>) {
    let unready = |reason: &'static str| (StatusCode::SERVICE_UNAVAILABLE, reason.into());
    if probes.stopping.is_cancelled() {
        return unready("stopping\n");
    }
    if probes.catalog.ping().await.is_err() {
        return unready("the catalog does not answer\n");
    }
    // Downloads need no broker, and it would be no better for another server.
    match probes.broker.trouble() {
        None => (StatusCode::OK, "ready\n".into()),
        Some(Trouble::Away { .. }) => (
            StatusCode::OK,
            "ready, without a connection to the broker\n".into(),
        ),
        Some(blocked @ Trouble::Blocked { .. }) => {
            (StatusCode::OK, format!("ready, but {blocked}\n").into())
        }
        // The reason names users and queues, and is in the log.
        Some(Trouble::Refused { .. }) => (
            StatusCode::OK,
            "ready, but RabbitMQ refuses what is needed\n".into(),
        ),
    }
}
