//! `/api/sizes`: how large stores are, and how they grow.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    csv::{Csv, inert},
    period::Period,
};
use crate::{
    catalog::{SizeDay, SizeOrder, SizeTotals, StoreSize},
    http::{
        api::{extract::Asked, state::Api},
        json::Json,
        problem::{Problem, ProblemBody},
        responses::{Failures, NotAdmin, RateLimited},
    },
};

/// Stores that are listed as the largest, and as those that grew most.
const LISTED: u32 = 50;

/// Stores in a file.
const MOST: u32 = 1_000_000;

/// The sizes of stores.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sizes {
    /// When the period began.
    since: DateTime<Utc>,
    /// When it ended.
    until: DateTime<Utc>,
    totals: SizeTotals,
    /// Bytes of all stores when the period began; of each that is younger, those of its first snapshot.
    bytes_before: u64,
    /// Each day of the period, the oldest first.
    days: Vec<SizeDay>,
    /// The 50 largest stores.
    largest: Vec<StoreSize>,
    /// Of the 50 stores that grew most, those that grew.
    growing: Vec<StoreSize>,
}

/// How large stores are, and how they grow
#[utoipa::path(
    get,
    path = "/api/sizes",
    tag = "figures",
    params(Period),
    security(("admin" = [])),
    responses(
        (status = 200, body = Sizes),
        (status = 400, description = "The request is malformed", body = ProblemBody),
        NotAdmin,
        RateLimited,
        Failures,
    ),
)]
pub(super) async fn sizes(
    State(api): State<Arc<Api>>,
    Asked(period): Asked<Period>,
) -> Result<Json<Sizes>, Problem> {
    let catalog = &api.catalog;
    let until = catalog.now().await?;
    let since = period.since(until)?;
    let mut growing = catalog
        .store_sizes(since, SizeOrder::Growth, LISTED)
        .await?;
    growing.retain(|store| store.bytes > store.bytes_before);
    Ok(Json(Sizes {
        since,
        until,
        totals: catalog.size_totals().await?,
        bytes_before: catalog.bytes_before(since).await?,
        days: catalog.size_days(since, until).await?,
        largest: catalog.store_sizes(since, SizeOrder::Bytes, LISTED).await?,
        growing,
    }))
}

/// How large each store is, as CSV
///
/// In a store's id, what hides is spelled out, and what a spreadsheet would take for a formula begins with an apostrophe.
#[utoipa::path(
    get,
    path = "/api/sizes.csv",
    tag = "figures",
    params(Period),
    security(("admin" = [])),
    responses(
        (status = 200, content_type = "text/csv", body = String),
        (status = 400, description = "The request is malformed", body = ProblemBody),
        NotAdmin,
        RateLimited,
        Failures,
    ),
)]
pub(super) async fn sizes_csv(
    State(api): State<Arc<Api>>,
    Asked(period): Asked<Period>,
) -> Result<Response, Problem> {
    let since = period.since(api.catalog.now().await?)?;
    let mut csv = Csv::new(
        "store-sizes.csv",
        &["store_id", "bytes", "rows", "bytes_before", "created_at"],
    )?;
    let stores = api.catalog.store_sizes(since, SizeOrder::Store, MOST);
    for store in stores.await? {
        csv.row([
            inert(&store.store_id),
            store.bytes.to_string(),
            store.rows.to_string(),
            store.bytes_before.to_string(),
            store.created_at.to_rfc3339_opts(SecondsFormat::Secs, true),
        ])?;
    }
    csv.done()
}
