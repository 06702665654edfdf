//! `POST /sync/stream`: a snapshot as the first checkpoint of PowerSync's own protocol.

use std::sync::Arc;

use axum::{
    body::{Body, to_bytes},
    extract::{Path, Request, State, rejection::PathRejection},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::Response,
};
use seedbed_protocol::{
    StoreId,
    manifest::{Encoding, Rendition},
};

use super::{
    accept::{Accepted, choose},
    body,
    decision::{Why, decide},
    places::Place,
    request::{MAX_BODY_BYTES, MAX_BUCKETS, StreamRequest},
    state::{FirstSyncs, refused},
};
use crate::http::{
    auth::client_token,
    problem::{Problem, ProblemBody},
    responses::RateLimited,
};

/// Take the first sync from a snapshot
///
/// As SDKs ask a PowerSync service: their credentials name this server as the endpoint. The token's only store is meant. The
/// stream ends with `{"token_expires_in":0}`, after which the SDK asks the app for credentials anew.
#[utoipa::path(
    post,
    path = "/sync/stream",
    tag = "first sync",
    security(("client" = []), ()),
    request_body(content = inline(serde_json::Value), description = "What an SDK sends to a PowerSync service"),
    responses(
        (status = 200, description = "One whole checkpoint, as the device accepts it", content(
            (String = "application/x-ndjson"),
            (Vec<u8> = "application/vnd.powersync.bson-stream"),
        )),
        (status = 400, description = "The body is not what an SDK sends", body = ProblemBody),
        (status = 401, description = "The device has to ask the PowerSync service: the token is not accepted, there is no snapshot for it, or it \
            has data already", body = ProblemBody),
        RateLimited,
    ),
)]
pub(super) async fn of_token(
    State(first_syncs): State<Arc<FirstSyncs>>,
    request: Request,
) -> Result<Response, Problem> {
    let token = client_token(request.headers());
    let store_id = first_syncs.downloads.clients().store_of(token).await;
    answer(&first_syncs, store_id, request).await
}

/// Take the first sync of a store from a snapshot
///
/// For tokens that name several stores. Otherwise as `/sync/stream`.
#[utoipa::path(
    post,
    path = "/stores/{store_id}/sync/stream",
    tag = "first sync",
    params(("store_id" = String, Path, description = "The store")),
    security(("client" = []), ()),
    request_body(content = inline(serde_json::Value), description = "What an SDK sends to a PowerSync service"),
    responses(
        (status = 200, description = "One whole checkpoint, as the device accepts it", content(
            (String = "application/x-ndjson"),
            (Vec<u8> = "application/vnd.powersync.bson-stream"),
        )),
        (status = 400, description = "The body is not what an SDK sends", body = ProblemBody),
        (status = 401, description = "The device has to ask the PowerSync service", body = ProblemBody),
        RateLimited,
    ),
)]
pub(super) async fn of_store(
    State(first_syncs): State<Arc<FirstSyncs>>,
    store_id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let store_id = store_id.map_err(Problem::from);
    let store_id = store_id.and_then(|Path(store_id)| {
        StoreId::new(store_id).map_err(|e| Problem::invalid(format!("store_id: {e}")))
    });
    answer(&first_syncs, store_id, request).await
}

/// Whatever stands in the way, the device has to ask elsewhere: a status that SDKs only retry would keep it here for ever.
async fn answer(
    first_syncs: &FirstSyncs,
    store_id: Result<StoreId, Problem>,
    request: Request,
) -> Result<Response, Problem> {
    let answered = async { serve(first_syncs, &store_id?, request).await };
    answered.await.map_err(|problem| {
        first_syncs.metrics.ended(problem.error());
        problem.sends_elsewhere()
    })
}

async fn serve(
    first_syncs: &FirstSyncs,
    store_id: &StoreId,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let headers = parts.headers;
    let token = client_token(&headers);
    first_syncs
        .downloads
        .clients()
        .check(token, store_id)
        .await?;
    let place = first_syncs.places.take(token, store_id)?;
    let request = read(body).await?;
    let known = first_syncs.known(store_id).await?;
    let offer = known.offer.map_err(refused)?;
    decide(&request, &offer).map_err(refused)?;
    let accepted = choose(&offer.streams, &headers).ok_or_else(|| refused(Why::NotAcceptable))?;
    stream(first_syncs, &accepted, place).await
}

/// Reads what the device has and asks for.
async fn read(body: Body) -> Result<StreamRequest, Problem> {
    let body = to_bytes(body, MAX_BODY_BYTES).await.map_err(|_| {
        let message = format!(
            "the request has more than {MAX_BODY_BYTES} bytes; go on at the PowerSync service"
        );
        Problem::unauthorized(message).because("too_large")
    })?;
    let request = StreamRequest::parse(&body)
        .map_err(|reason| Problem::invalid(format!("this is no request of an SDK: {reason}")))?;
    match request.buckets.len() > MAX_BUCKETS {
        true => Err(refused(Why::TooManyBuckets)),
        false => Ok(request),
    }
}

async fn stream(
    first_syncs: &FirstSyncs,
    accepted: &Accepted<'_>,
    place: Place,
) -> Result<Response, Problem> {
    let body = body::open(
        &first_syncs.snapshots,
        accepted,
        place,
        &first_syncs.metrics,
        &first_syncs.downloads.deliveries,
    )
    .await;
    let body = body.map_err(|e| Problem::failed("the object storage", &e, e.is_transient()))?;
    let mut response = Response::new(body);
    response
        .headers_mut()
        .extend(described(accepted.rendition, accepted.unpacked));
    Ok(response)
}

/// The headers of a stream. SDKs compare the media type as a whole.
fn described(rendition: &Rendition, unpacked: bool) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let media_type = HeaderValue::from_static(rendition.form.media_type());
    headers.insert(header::CONTENT_TYPE, media_type);
    if !unpacked && rendition.encoding != Encoding::Identity {
        let encoding = HeaderValue::from_static(rendition.encoding.name());
        headers.insert(header::CONTENT_ENCODING, encoding);
    }
    headers.insert(
        header::VARY,
        HeaderValue::from_static("accept, accept-encoding"),
    );
    // nginx would collect the answer of a slow device on its disk.
    let buffering = HeaderName::from_static("x-accel-buffering");
    headers.insert(buffering, HeaderValue::from_static("no"));
    headers
}
