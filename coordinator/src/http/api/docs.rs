//! The document of this server, and a page that shows it.

use std::sync::Arc;

use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, header},
    middleware::{self, Next},
    response::Response,
};
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::SwaggerUi;

use crate::http::server::routes::App;

/// Swagger UI brings pictures and styles within its own files.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; base-uri 'none'; \
     form-action 'self'; frame-ancestors 'none'; object-src 'none'",
);

/// Where they are.
pub(crate) fn documentation(document: OpenApi) -> Router<Arc<App>> {
    let page: Router<Arc<App>> = SwaggerUi::new("/api/docs")
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
