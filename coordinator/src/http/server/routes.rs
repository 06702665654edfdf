//! Routes requests to endpoints, through the layers of each.

use std::sync::Arc;

use axum::{Router, middleware};
use utoipa_axum::router::OpenApiRouter;

use super::{
    access_log::{self, AccessLog},
    document::{documentation, empty_document, say_bodies},
    limits::{self, Limits},
};
use crate::http::{
    api::{self, Api},
    auth::{Access, Login, login_routes, require_role, say_roles},
    dashboard,
    download::{self, Downloads},
    first_sync::{self, FirstSyncs},
    probes::{self, Probes},
    reports::{self, Reports},
};

/// What each group of endpoints is answered from. None knows that of another.
pub(super) struct States {
    pub(super) downloads: Arc<Downloads>,
    pub(super) reports: Arc<Reports>,
    pub(super) first_syncs: Arc<FirstSyncs>,
    pub(super) api: Arc<Api>,
    pub(super) probes: Arc<Probes>,
    pub(super) access: Arc<Access>,
    /// `None` where nobody signs in by a provider.
    pub(super) login: Option<Arc<Login>>,
    pub(super) limits: Arc<Limits>,
    pub(super) access_log: Arc<AccessLog>,
}

/// For orchestrators and Prometheus, which have no token. Answers to the very end of the process.
pub(super) fn health_routes(states: &States) -> Router {
    let probes = probes::routes(states.probes.clone());
    let (routes, _) = probes.merge(probes::metrics()).split_for_parts();
    routes
        .layer(middleware::from_fn(limits::known_method))
        .layer(middleware::from_fn(limits::one_host))
}

/// For everything else.
pub(super) fn routes(states: &States, cors_origins: &[String]) -> Router {
    let limits = states.limits.clone();
    let (devices, described) = download::routes(states.downloads.clone())
        .merge(first_sync::routes(states.first_syncs.clone()))
        .merge(reports::routes(states.reports.clone()))
        .split_for_parts();
    // Outside of all that may refuse, so that a page of another origin can also read why it was refused.
    let devices = within_limits(devices, &limits).layer(limits::cross_origin(cors_origins));
    let by_role = middleware::from_fn_with_state(states.access.clone(), require_role);
    let api = api::routes(states.api.clone()).merge(probes::metrics());
    let (routes, mut document) =
        OpenApiRouter::with_openapi(empty_document().merge_from(described))
            .merge(probes::routes(states.probes.clone()))
            .merge(api.route_layer(by_role))
            .split_for_parts();
    say_roles(&mut document);
    say_bodies(&mut document);
    let routes = routes
        .merge(documentation(document))
        .merge(dashboard::routes())
        .merge(states.login.clone().map_or_else(Router::new, login_routes))
        .fallback(limits::unknown);
    within_limits(routes, &limits)
        .merge(devices)
        .layer(middleware::from_fn(limits::security_headers))
        .layer(middleware::from_fn_with_state(
            states.access_log.clone(),
            access_log::log,
        ))
}

/// Layers that refuse what asks for too much, the outermost last.
fn within_limits(routes: Router, limits: &Arc<Limits>) -> Router {
    let limits = limits.clone();
    routes
        .layer(middleware::from_fn(limits::known_method))
        .layer(limits::body_size())
        .layer(middleware::from_fn_with_state(
            limits.clone(),
            limits::in_time,
        ))
        .layer(middleware::from_fn_with_state(limits, limits::rate_limited))
        .layer(middleware::from_fn(limits::one_host))
        .layer(limits::panics())
}
