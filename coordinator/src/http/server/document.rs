//! The OpenAPI document of all endpoints, and a page that shows it.

use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, header},
    middleware::{self, Next},
    response::Response,
};
use utoipa::{
    OpenApi,
    openapi::{
        self, RefOr, Schema,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use utoipa_swagger_ui::SwaggerUi;

/// What the document says in addition to the endpoints that routers bring.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Seedbed",
        description = "Snapshots for clients; runs, jobs and stores for administrators."
    ),
    // Its route has a pattern that is none of OpenAPI's.
    paths(crate::http::download::files::file)
)]
struct Document;

/// The document without the endpoints that routers bring.
pub(super) fn empty_document() -> openapi::OpenApi {
    let bearer = |description: &str| {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
        SecurityScheme::Http(scheme.description(Some(description)).build())
    };
    let mut document = Document::openapi();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("client", bearer("The app's JWT, which names a store"));
    components.add_security_scheme(
        "admin",
        bearer("serve.admin_token, or a token of `seedbed tokens create`"),
    );
    document
}

/// Says of bodies that may be left out what is sent if they are not: `null`, which is derived from their type, is refused.
pub(super) fn say_bodies(document: &mut openapi::OpenApi) {
    for item in document.paths.paths.values_mut() {
        let post = item.post.as_mut();
        let Some(RefOr::T(body)) = post.and_then(|operation| operation.request_body.as_mut())
        else {
            continue;
        };
        for content in body.content.values_mut() {
            let RefOr::T(content) = content else {
                continue;
            };
            let Some(RefOr::T(Schema::OneOf(either))) = &content.schema else {
                continue;
            };
            let mut items = either.items.iter();
            if let Some(named) = items.find(|item| matches!(item, RefOr::Ref(_))) {
                content.schema = Some(named.clone());
            }
        }
    }
}

/// Swagger UI brings pictures and styles within its own files.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; base-uri 'none'; \
     form-action 'self'; frame-ancestors 'none'; object-src 'none'",
);

/// The document, and the page that shows it.
pub(super) fn documentation(document: openapi::OpenApi) -> Router {
    let page: Router = SwaggerUi::new("/api/docs")
        .url("/api/openapi.json", document)
        .into();
    page.layer(middleware::from_fn(with_policy))
}

async fn with_policy(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    response
}
