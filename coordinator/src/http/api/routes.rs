//! The endpoints of the API.

use std::sync::Arc;

use utoipa_axum::{router::OpenApiRouter, routes};

use super::{audit, control, figures, overview, runs, state::Api, stores, timeline, workers};

/// The endpoints, with `api` as their state.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>(api: Arc<Api>) -> OpenApiRouter<S> {
    OpenApiRouter::new()
        .routes(routes!(overview::overview))
        .routes(routes!(overview::events))
        .merge(figures::routes())
        .routes(routes!(runs::list, control::runs::start))
        .routes(routes!(runs::show))
        .routes(routes!(runs::jobs))
        .routes(routes!(runs::comparison))
        .routes(routes!(timeline::timeline))
        .merge(control::routes())
        .routes(routes!(stores::list))
        .routes(routes!(stores::show))
        .routes(routes!(stores::seed))
        .routes(routes!(workers::list))
        .routes(routes!(audit::list))
        .with_state(api)
}
