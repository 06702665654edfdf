//! Layers around all endpoints: rate, time, size, cross-origin requests, panics and security headers.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tower_http::{
    catch_panic::{CatchPanicLayer, ResponseForPanic},
    cors::CorsLayer,
};

use crate::http::{
    peer::{RateLimit, client_address, is_by_tls},
    problem::Problem,
};

/// The largest request body: a few thousand store ids.
const MAX_BODY_BYTES: usize = 256 * 1024;

/// How long browsers remember that this server is to be reached by TLS only.
const TRANSPORT_SECURITY: &str = "max-age=31536000";

/// What requests may use.
pub(super) struct Limits {
    pub(super) rate: RateLimit,
    pub(super) behind_proxy: bool,
    pub(super) request_timeout: Duration,
}

/// Refuses an address that makes too many requests.
pub(super) async fn rate_limited(
    State(limits): State<Arc<Limits>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let address = client_address(&request, limits.behind_proxy);
    match address.map(|address| limits.rate.check(address)) {
        Some(Err(wait)) => Err(Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_requests",
            "too many requests from this address; try again later (serve.rate_limit)",
        )
        .retry_after(wait)),
        _ => Ok(next.run(request).await),
    }
}

/// Refuses a request that names several hosts (RFC 9112, 3.2): a proxy in between may have believed another of them.
pub(super) async fn one_host(request: Request, next: Next) -> Result<Response, Problem> {
    if request.headers().get_all(header::HOST).iter().count() > 1 {
        return Err(Problem::invalid(
            "the request has more than one Host header",
        ));
    }
    Ok(next.run(request).await)
}

/// Gives what has no such method a body, as other refusals have.
pub(super) async fn known_method(request: Request, next: Next) -> Response {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let response = next.run(request).await;
    if response.status() != StatusCode::METHOD_NOT_ALLOWED {
        return response;
    }
    let allowed = response.headers().get(header::ALLOW).cloned();
    let takes = allowed.as_ref().and_then(|methods| methods.to_str().ok());
    let message = format!(
        "there is no {method} {}; it takes {}",
        uri.path(),
        takes.unwrap_or("other methods")
    );
    let problem = Problem::new(response.status(), "method_not_allowed", message);
    let mut response = problem.into_response();
    if let Some(allowed) = allowed {
        response.headers_mut().insert(header::ALLOW, allowed);
    }
    response
}

/// Answers 503 when a request takes too long. What it has started, such as a run, continues.
pub(super) async fn in_time(
    State(limits): State<Arc<Limits>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let answered = tokio::time::timeout(limits.request_timeout, next.run(request)).await;
    answered.map_err(|_| Problem::unavailable("this took too long; try again later"))
}

pub(super) fn body_size() -> DefaultBodyLimit {
    DefaultBodyLimit::max(MAX_BODY_BYTES)
}

pub(super) fn panics() -> CatchPanicLayer<Panicked> {
    CatchPanicLayer::custom(Panicked)
}

/// Answers 500 when a handler panics. The panic itself is in the log.
#[derive(Clone, Copy)]
pub(super) struct Panicked;

impl ResponseForPanic for Panicked {
    type ResponseBody = axum::body::Body;

    fn response_for_panic(&mut self, _: Box<dyn std::any::Any + Send>) -> Response {
        let message = "this request met a bug; the server's log has it";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "bug", message).into_response()
    }
}

/// How long browsers remember what pages may ask for.
const PREFLIGHT: Duration = Duration::from_secs(600);

/// What PowerSync's web SDK names itself in: pages cannot set User-Agent.
const SDK_AGENT: HeaderName = HeaderName::from_static("x-user-agent");

/// Lets web pages of these origins ask for downloads and first syncs, and report how they went.
pub(super) fn cross_origin(origins: &[String]) -> CorsLayer {
    let origins = origins.iter().filter_map(|origin| origin.parse().ok());
    CorsLayer::new()
        .allow_origin(origins.collect::<Vec<HeaderValue>>())
        .allow_methods([Method::GET, Method::HEAD, Method::POST])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::RANGE,
            header::IF_RANGE,
            SDK_AGENT,
        ])
        .max_age(PREFLIGHT)
        .expose_headers([
            header::RETRY_AFTER,
            header::ETAG,
            header::CONTENT_RANGE,
            header::ACCEPT_RANGES,
        ])
}

/// Tells browsers what they must not do with anything of this server.
pub(super) async fn security_headers(request: Request, next: Next) -> Response {
    let by_tls = is_by_tls(&request);
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let mut add = |name: HeaderName, value| {
        // A page may be stricter, or less so where it has to be.
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    };
    add(
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
    );
    add(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    add(header::X_FRAME_OPTIONS, "DENY");
    add(header::REFERRER_POLICY, "no-referrer");
    add(header::CACHE_CONTROL, "no-store");
    add(
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    );
    if by_tls {
        add(header::STRICT_TRANSPORT_SECURITY, TRANSPORT_SECURITY);
    }
    response
}

pub(super) async fn unknown() -> Problem {
    Problem::not_found("unknown_path", "there is nothing here; / is the dashboard")
}
