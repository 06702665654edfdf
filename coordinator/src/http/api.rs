//! `/api`: what administrators see and do, and the document that describes all of this server.

use std::sync::Arc;

use utoipa::{
    OpenApi,
    openapi::{
        self,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::server::routes::App;

mod docs;
mod extract;
mod overview;
mod runs;
mod stores;
mod types;

pub(crate) use self::{
    docs::documentation,
    overview::{Overviews, keep_looking},
};

/// What the document says beside the endpoints that routers bring.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Seedbed",
        description = "Snapshots for clients, and what administrators see and do."
    ),
    // Its route has a pattern that is none of OpenAPI's.
    paths(super::download::files::file)
)]
struct Document;

/// The document without the endpoints that routers bring.
pub(crate) fn document() -> openapi::OpenApi {
    let bearer = |description: &str| {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
        SecurityScheme::Http(scheme.description(Some(description)).build())
    };
    let mut document = Document::openapi();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("client", bearer("The app's JWT, which names a store"));
    components.add_security_scheme("admin", bearer("serve.admin_token"));
    document
}

/// The endpoints; who may use them is decided around them.
pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(overview::overview))
        .routes(routes!(overview::events))
        .routes(routes!(runs::list, runs::start))
        .routes(routes!(runs::show))
        .routes(routes!(runs::jobs))
        .routes(routes!(runs::retry))
        .routes(routes!(runs::cancel))
        .routes(routes!(stores::list))
        .routes(routes!(stores::show))
        .routes(routes!(stores::seed))
}
