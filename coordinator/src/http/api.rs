//! `/api`: what administrators see and do, and the document that describes all of this server.

use std::sync::Arc;

use axum::Router;
use utoipa::{
    OpenApi,
    openapi::{
        self,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::SwaggerUi;

use super::App;

/// What the document says beside the endpoints.
#[derive(OpenApi)]
#[openapi(info(
    title = "Seedbed",
    description = "Snapshots for clients, and what administrators see and do."
))]
struct Document;

/// The document without any endpoint.
pub(super) fn document() -> openapi::OpenApi {
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

/// The document, and a page that shows it.
pub(super) fn documentation(document: openapi::OpenApi) -> Router<Arc<App>> {
    SwaggerUi::new("/api/docs")
        .url("/api/openapi.json", document)
        .into()
}

/// The endpoints; who may use them is decided around them.
pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
}
