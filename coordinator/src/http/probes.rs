//! `/healthz`, `/readyz` and `/.well-known/jwks.json`.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use seedbed_worker::{
    config::TokenConfig,
    token::{TokenError, public_jwks},
};

use utoipa_axum::router::OpenApiRouter;

use super::App;

/// How long PowerSync may keep the keys.
const KEYS_CACHED: &str = "public, max-age=300";

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/.well-known/jwks.json", get(keys))
}

/// The public half of the key that Seedbed's own tokens are signed with, as a JWK set; an empty one for HS256, whose
/// key has no public half.
pub(super) fn own_keys(config: &TokenConfig) -> Result<String, TokenError> {
    let keys = public_jwks(config)?;
    Ok(serde_json::to_string(&keys).expect("keys are plain JSON"))
}

async fn keys(State(app): State<Arc<App>>) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, KEYS_CACHED),
    ];
    (headers, app.own_keys.clone())
}

async fn ready(State(app): State<Arc<App>>) -> (StatusCode, &'static str) {
    let unready = |reason| (StatusCode::SERVICE_UNAVAILABLE, reason);
    if app.stopping.is_cancelled() {
        return unready("stopping\n");
    }
    if !app.broker.is_connected() {
        return unready("no connection to the broker\n");
    }
    if app.catalog.runs(1).await.is_err() {
        return unready("the catalog does not answer\n");
    }
    (StatusCode::OK, "ready\n")
}
