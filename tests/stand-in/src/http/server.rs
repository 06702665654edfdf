//! The HTTP side: routes, refusals, faults, and the headers the service sends.

use crate::auth::{token, unverified_part};
use crate::error::{ErrorReply, body_is_not_json, json_response};
use crate::http::body::{Limit, encode};
use crate::http::session::{Line, Session};
use crate::request::{Compression, Format, StreamRequest};
use crate::state::faults::Fault;
use crate::state::metrics::{Meter, RequestRecord, count};
use crate::state::replay::Replay;
use crate::state::service::Service;
use async_stream::stream;
use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::time::sleep;

/// The largest request body, in bytes: positions of thousands of buckets fit.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// All routes of the service.
pub(crate) fn router(service: Arc<Service>) -> Router {
    Router::new()
        .route("/sync/stream", post(sync_stream))
        .route(
            "/probes/liveness",
            get(async || json_response(200, &json!({}))),
        )
        // The service knows no other methods, and says so with the 404 of an unknown path.
        .method_not_allowed_fallback(async || StatusCode::NOT_FOUND)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(service)
}

async fn sync_stream(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let claims = token(&headers).map_or(Value::Null, |token| unverified_part(token, 1));
    let store = claims
        .get("store_id")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let parsed: serde_json::Result<Value> = if body.is_empty() {
        Ok(json!({}))
    } else {
        serde_json::from_slice(&body)
    };
    service.requests.push(record(
        &headers,
        claims,
        parsed.as_ref().cloned().unwrap_or_default(),
    ));
    service
        .metrics
        .send_modify(|metrics| count(metrics, &store, |counters| counters.requests += 1));

    if let Some(replay) = service.replays.take(&store) {
        return answer_replay(&service, &store, replay);
    }
    sleep(service.settings.latency).await;
    let fault = service.faults.take(&store);
    if let Some(Fault::Delay(delay)) = fault {
        sleep(delay).await;
    }
    if let Some(answer) = fault.as_ref().and_then(answer_fault) {
        return answer;
    }
    let Ok(body) = parsed else {
        return body_is_not_json();
    };
    answer_stream(&service, &store, &headers, body, fault.as_ref())
        .unwrap_or_else(IntoResponse::into_response)
}

/// The regular answer to a stream request.
fn answer_stream(
    service: &Arc<Service>,
    store: &str,
    headers: &HeaderMap,
    body: Value,
    fault: Option<&Fault>,
) -> Result<Response, ErrorReply> {
    // Serde would take a list for the fields of a struct.
    if !body.is_object() {
        return Err(ErrorReply::invalid_request("Expected an object"));
    }
    let request: StreamRequest = serde_json::from_value(body)
        .map_err(|error| ErrorReply::invalid_request(error.to_string()))?;
    let token = service.keys.verify(headers)?;
    if !service.ready.load(Ordering::Relaxed) {
        return Err(ErrorReply::no_sync_config());
    }
    let settings = &service.settings;
    let format = Format::negotiate(headers);
    let mut session =
        Session::new(service, request, token, format).map_err(ErrorReply::invalid_request)?;
    let buckets = session.bucket_count();
    if buckets > settings.max_buckets {
        let status = settings.too_many_buckets_status;
        return Err(ErrorReply::too_many_buckets(
            status,
            buckets,
            settings.max_buckets,
        ));
    }
    if fault == Some(&Fault::WrongChecksum) {
        session.falsify_checksums();
    }
    let meter = Meter::open(&service.metrics, store, settings.max_streams)
        .ok_or_else(ErrorReply::too_many_streams)?;
    let compression = Compression::negotiate(headers);
    let limit = fault.and_then(Limit::of);
    let body = encode(
        session.lines(),
        compression,
        limit,
        meter,
        service.shutdown.clone(),
    );
    Ok(stream_response(
        body,
        format.media_type(),
        compression.content_encoding(),
    ))
}

/// The answer of a fault that replaces the whole answer.
fn answer_fault(fault: &Fault) -> Option<Response> {
    match fault {
        Fault::Error { status, code } => {
            Some(ErrorReply::service(*status, code, "Injected by a test").into_response())
        }
        Fault::Status {
            status,
            retry_after,
        } => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut response = (status, "upstream error").into_response();
            if let Some(value) = retry_after
                .as_deref()
                .and_then(|value| HeaderValue::from_str(value).ok())
            {
                response.headers_mut().insert(header::RETRY_AFTER, value);
            }
            Some(response)
        }
        Fault::HtmlPage => {
            let page = "<!DOCTYPE html><html><head><title>Welcome</title></head><body>It works!</body></html>\n";
            Some(Html(page).into_response())
        }
        Fault::CutAfter { .. }
        | Fault::EndAfter { .. }
        | Fault::StallAfter { .. }
        | Fault::WrongChecksum
        | Fault::Delay(_) => None,
    }
}

fn answer_replay(service: &Arc<Service>, store: &str, replay: Replay) -> Response {
    let Some(meter) = Meter::open(&service.metrics, store, u64::MAX) else {
        return ErrorReply::too_many_streams().into_response();
    };
    let Replay {
        body,
        content_type,
        content_encoding,
        stay_open,
        ..
    } = replay;
    let shutdown = service.shutdown.clone();
    let lines = stream! {
        yield Line { bytes: body.into(), operations: 0 };
        if stay_open {
            shutdown.cancelled().await;
        }
    };
    let body = encode(
        lines,
        Compression::None,
        None,
        meter,
        service.shutdown.clone(),
    );
    stream_response(body, &content_type, content_encoding.as_deref())
}

/// The headers of a stream, as recorded.
fn stream_response(body: Body, content_type: &str, content_encoding: Option<&str>) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    set(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    set(header::ACCESS_CONTROL_EXPOSE_HEADERS, "Content-Type");
    set(header::CONTENT_TYPE, content_type);
    if let Some(encoding) = content_encoding {
        set(header::CONTENT_ENCODING, encoding);
    }
    set(HeaderName::from_static("x-accel-buffering"), "no");
    response
}

fn record(headers: &HeaderMap, claims: Value, body: Value) -> RequestRecord {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
            .map(str::to_owned)
    };
    RequestRecord {
        body,
        jwt_header: token(headers).map_or(Value::Null, |token| unverified_part(token, 0)),
        claims,
        accept: text(header::ACCEPT),
        accept_encoding: text(header::ACCEPT_ENCODING),
    }
}
