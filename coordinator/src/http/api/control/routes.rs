//! The endpoints that change something, but for the one that starts runs; and who may.

use std::sync::Arc;

use utoipa_axum::{router::OpenApiRouter, routes};

use super::{delivery, failures, forget, runs, session, tokens, withdraw};
use crate::http::api::state::Api;

pub(in crate::http::api) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(runs::retry))
        .routes(routes!(runs::cancel))
        .merge(failures::routes())
        .routes(routes!(withdraw::store))
        .routes(routes!(withdraw::run))
        .routes(routes!(withdraw::all))
        .routes(routes!(forget::forget))
        .routes(routes!(forget::allow))
        .routes(routes!(forget::list))
        .routes(routes!(delivery::show, delivery::set))
        .routes(routes!(session::show))
        .routes(routes!(session::end))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::revoke))
}
