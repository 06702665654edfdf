//! `/healthz`, `/readyz` and `/.well-known/jwks.json`.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use seedbed_protocol::telemetry::{METRICS_CONTENT_TYPE, metrics_text};
use seedbed_worker::{
    config::TokenConfig,
    token::{TokenError, public_jwks},
};

use utoipa_axum::{router::OpenApiRouter, routes};

use super::problem::ProblemBody;
use crate::http::server::routes::App;

/// How long PowerSync may keep the keys.
const KEYS_CACHED: &str = "public, max-age=300";

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(alive))
        .routes(routes!(ready))
        .routes(routes!(keys))
}

/// What is not for everybody.
pub(crate) fn metrics() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(measured))
}

/// The public half of the key that Seedbed's own tokens are signed with, as a JWK set; an empty one for HS256, whose
/// key has no public half.
pub(crate) fn own_keys(config: &TokenConfig) -> Result<String, TokenError> {
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
        (status = 429, description = "Too many requests", body = ProblemBody),
    ),
)]
async fn keys(State(app): State<Arc<App>>) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, KEYS_CACHED),
    ];
    (headers, app.own_keys.clone())
}

/// What the process measures, for Prometheus
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "probes",
    security(("admin" = [])),
    responses(
        (status = 200, description = "The metrics", content_type = "text/plain", body = String),
        (status = 401, description = "Not with this token", body = ProblemBody),
        (status = 403, description = "Nobody may", body = ProblemBody),
        (status = 429, description = "Too many requests", body = ProblemBody),
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
        (status = 200, description = "It is", content_type = "text/plain", body = String),
        (status = 429, description = "Too many requests", body = ProblemBody),
    ),
)]
async fn alive() -> &'static str {
    "ok\n"
}

/// Whether requests should come here
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "probes",
    responses(
        (status = 200, description = "They should; and whether the broker is away", content_type = "text/plain", body = String),
        (status = 429, description = "Too many requests", body = ProblemBody),
        (status = 503, description = "Why not", content_type = "text/plain", body = String),
    ),
)]
async fn ready(State(app): State<Arc<App>>) -> (StatusCode, &'static str) {
    let unready = |reason| (StatusCode::SERVICE_UNAVAILABLE, reason);
    if app.stopping.is_cancelled() {
        return unready("stopping\n");
    }
    if app.catalog.ping().await.is_err() {
        return unready("the catalog does not answer\n");
    }
    if !app.broker.is_connected() {
        // Downloads need none, and no other server would have one.
        return (
            StatusCode::OK,
            "ready, without a connection to the broker\n",
        );
    }
    (StatusCode::OK, "ready\n")
}
