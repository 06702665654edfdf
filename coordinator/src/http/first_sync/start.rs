//! `GET /start`: which endpoint a device's credentials should name now, and why.

use std::sync::Arc;

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::HeaderMap,
};
use chrono::{DateTime, Utc};
use seedbed_protocol::StoreId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    decision::{for_generation, number},
    state::FirstSyncs,
};
use crate::http::{
    auth::client_token,
    json::Json,
    problem::{Problem, ProblemBody},
    responses::{Failures, RateLimited},
};

/// What a device says of itself.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct StartQuery {
    /// The store.
    #[param(max_length = 255, min_length = 1)]
    store_id: String,
    /// The newest sync config that the device has data of: the number before the `#` in the names of its buckets. Left out by
    /// a device that has none.
    #[param(max_length = 20, min_length = 1, pattern = "^[0-9]+$")]
    generation: Option<String>,
}

/// Where a device should sync now.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Start {
    /// The store.
    store_id: String,
    /// `seedbed` or `powersync`.
    #[schema(value_type = String, examples("seedbed"))]
    from: &'static str,
    /// The endpoint for the SDK's credentials; null if only the app knows its PowerSync service.
    endpoint: Option<String>,
    /// The PowerSync service; null if only the app knows it.
    service_endpoint: Option<String>,
    /// Why, for programs.
    #[schema(value_type = String, examples("first_sync"))]
    why: &'static str,
    /// Why, for people.
    message: &'static str,
    /// The sync config of the snapshot, by the number in its buckets' names.
    generation: Option<String>,
    /// The op id of the checkpoint that the snapshot is at.
    checkpoint: Option<String>,
    /// When PowerSync was last known to hold exactly what is in it.
    verified_at: Option<DateTime<Utc>>,
}

/// Which endpoint a device should sync with now
///
/// For the app's `fetchCredentials`, while the device has no local writes. The caller's own JWT has to name the store.
#[utoipa::path(
    get,
    path = "/start",
    tag = "first sync",
    params(StartQuery),
    security(("client" = []), ()),
    responses(
        (status = 200, description = "The endpoint, and why", body = Start),
        (status = 400, description = "The request is malformed", body = ProblemBody),
        (status = 401, description = "The token is missing, or is not accepted", body = ProblemBody),
        (status = 403, description = "The token is for another store, or downloads are disabled", body = ProblemBody),
        RateLimited,
        Failures,
    ),
)]
pub(super) async fn start(
    State(first_syncs): State<Arc<FirstSyncs>>,
    query: Result<Query<StartQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Json<Start>, Problem> {
    let Query(query) = query?;
    let store_id = StoreId::new(query.store_id)
        .map_err(|error| Problem::invalid(format!("store_id: {error}")))?;
    let is_number =
        |name: &String| number(name).is_some() && name.bytes().all(|byte| byte.is_ascii_digit());
    if !query.generation.as_ref().is_none_or(is_number) {
        return Err(Problem::invalid(
            "generation: say the number before the # in the names of the device's buckets, or leave it out",
        ));
    }
    let clients = first_syncs.downloads.clients();
    clients.check(client_token(&headers), &store_id).await?;
    let known = first_syncs.known(&store_id).await?;
    let service = first_syncs.service(&known);
    let offer = known.offer.as_ref().ok();
    let (is_here, why) = match &known.offer {
        Ok(offer) => for_generation(query.generation.as_deref(), offer),
        Err(why) => (false, *why),
    };
    let endpoint = match is_here {
        true => Some(first_syncs.endpoint(&headers, &store_id).await?),
        false => service.clone(),
    };
    let from = if is_here { "seedbed" } else { "powersync" };
    first_syncs.metrics.started(from, why.name());
    Ok(Json(Start {
        store_id: store_id.to_string(),
        from,
        endpoint,
        service_endpoint: service,
        why: why.name(),
        message: why.message(),
        generation: offer.and_then(|offer| offer.generation.clone()),
        checkpoint: offer.map(|offer| offer.checkpoint.to_string()),
        verified_at: offer.map(|offer| offer.verified_at),
    }))
}
