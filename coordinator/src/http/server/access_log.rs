//! The access log: one line for each request, within the caller's trace. Neither query strings nor headers are in it:
//! they hold signatures and tokens.

use std::{sync::Arc, time::Instant};

use axum::{
    extract::{MatchedPath, Request, State},
    http::HeaderMap,
    middleware::Next,
    response::Response,
};
use seedbed_protocol::telemetry::trace::{TRACEPARENT, TRACESTATE, TraceContext, fail};
use tracing::{Instrument, info, info_span};

use crate::{http::peer::client_address, metrics::RequestMetrics};

/// What the log needs to know.
pub(super) struct AccessLog {
    pub(super) behind_proxy: bool,
    pub(super) metrics: RequestMetrics,
}

/// Answers a request within a span, and logs how that went.
pub(super) async fn log(
    State(log): State<Arc<AccessLog>>,
    request: Request,
    next: Next,
) -> Response {
    let method = request.method().clone();
    // The pattern, where there is one: the path may hold the id of a store, which is not for every reader.
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map(|route| route.as_str().to_owned());
    let name = match &route {
        Some(route) => format!("{method} {route}"),
        None => method.to_string(),
    };
    let address = client_address(&request, log.behind_proxy);
    let span = info_span!(
        "request",
        otel.name = name,
        otel.kind = "server",
        http.request.method = %method,
        http.route = route.as_deref(),
        http.response.status_code = tracing::field::Empty,
        seedbed.store_id = tracing::field::Empty,
    );
    caller_of(request.headers()).adopt(&span);
    let path = request.uri().path().to_owned();
    let started = Instant::now();
    let response = next.run(request).instrument(span.clone()).await;
    let status = response.status();
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        fail(&span, "server", &status);
    }
    log.metrics.answered(
        method.as_str(),
        route.as_deref(),
        status.as_u16(),
        started.elapsed(),
    );
    span.in_scope(|| {
        info!(
            target: "seedbed::access",
            %method,
            path,
            status = status.as_u16(),
            millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            client = address.map(tracing::field::display),
        );
    });
    response
}

/// The trace that the caller is in.
fn caller_of(headers: &HeaderMap) -> TraceContext {
    let text = |name| Some(headers.get(name)?.to_str().ok()?.to_owned());
    TraceContext {
        traceparent: text(TRACEPARENT),
        tracestate: text(TRACESTATE),
    }
}
