//! `/api/costs`: the bytes that are stored and moved, and what they cost at the prices of the settings.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::{csv::Csv, period::Period};
use crate::{
    catalog::{HandedOut, SizeDay},
    http::{
        api::{extract::Asked, state::Api},
        json::Json,
        problem::{Problem, ProblemBody},
        responses::{Failures, NotAdmin, RateLimited},
    },
};

/// Bytes of a GiB.
const GIB: f64 = 1_073_741_824.0;

/// What is stored and moved.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Costs {
    /// When the period began.
    since: DateTime<Utc>,
    /// When it ended.
    until: DateTime<Utc>,
    /// What prices are in (cost.currency).
    currency: String,
    /// The price of a GiB that is stored for a month; null if it is not set (cost.storage).
    storage_price: Option<f64>,
    /// The price of a GiB that clients download; null if it is not set (cost.transfer).
    transfer_price: Option<f64>,
    /// Snapshots whose objects are there now.
    stored_snapshots: u64,
    /// Bytes of their objects, in every form and encoding.
    stored_bytes: u64,
    /// What workers moved on each day of the period, the oldest first.
    days: Vec<SizeDay>,
    /// What clients were told to download.
    handed_out: Vec<HandedOut>,
}

async fn costs_of(api: &Api, period: &Period) -> Result<Costs, Problem> {
    let until = api.catalog.now().await?;
    let since = period.since(until)?;
    let totals = api.catalog.size_totals().await?;
    Ok(Costs {
        since,
        until,
        currency: api.cost.currency.clone(),
        storage_price: api.cost.storage,
        transfer_price: api.cost.transfer,
        stored_snapshots: totals.stored_snapshots,
        stored_bytes: totals.stored_bytes,
        days: api.catalog.size_days(since, until).await?,
        handed_out: api.catalog.handed_out(since).await?,
    })
}

/// What is stored and moved, and the prices of it
#[utoipa::path(
    get,
    path = "/api/costs",
    tag = "figures",
    params(Period),
    security(("admin" = [])),
    responses(
        (status = 200, body = Costs),
        (status = 400, description = "The request is malformed", body = ProblemBody),
        NotAdmin,
        RateLimited,
        Failures,
    ),
)]
pub(super) async fn costs(
    State(api): State<Arc<Api>>,
    Asked(period): Asked<Period>,
) -> Result<Json<Costs>, Problem> {
    Ok(Json(costs_of(&api, &period).await?))
}

/// What is stored and moved, as CSV
///
/// A row for what is stored now, with its cost a month, and rows for what was downloaded, uploaded and synced each day.
#[utoipa::path(
    get,
    path = "/api/costs.csv",
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
pub(super) async fn costs_csv(
    State(api): State<Arc<Api>>,
    Asked(period): Asked<Period>,
) -> Result<Response, Problem> {
    let costs = costs_of(&api, &period).await?;
    let columns = [
        "what", "day", "form", "encoding", "count", "bytes", "cost", "currency",
    ];
    let mut csv = Csv::new("costs.csv", &columns)?;
    let cost = |bytes: u64, price: Option<f64>| {
        let gib = bytes.to_string().parse::<f64>().unwrap_or_default() / GIB;
        price.map_or_else(String::new, |price| format!("{:.6}", gib * price))
    };
    let mut row = |what: &str,
                   day: DateTime<Utc>,
                   kind: [&str; 2],
                   count: String,
                   bytes: u64,
                   cost: String| {
        let day = day.to_rfc3339_opts(SecondsFormat::Secs, true);
        let currency = if cost.is_empty() {
            ""
        } else {
            &*costs.currency
        };
        csv.row([
            what,
            &*day,
            kind[0],
            kind[1],
            &*count,
            &*bytes.to_string(),
            &*cost,
            currency,
        ])
    };
    let monthly = cost(costs.stored_bytes, costs.storage_price);
    let snapshots = costs.stored_snapshots.to_string();
    row(
        "stored a month",
        costs.until,
        ["", ""],
        snapshots,
        costs.stored_bytes,
        monthly,
    )?;
    for day in &costs.handed_out {
        let (downloads, price) = (
            day.downloads.to_string(),
            cost(day.bytes, costs.transfer_price),
        );
        row(
            "downloaded",
            day.day,
            [&day.form, &day.encoding],
            downloads,
            day.bytes,
            price,
        )?;
    }
    for day in &costs.days {
        row(
            "uploaded",
            day.day,
            ["", ""],
            String::new(),
            day.uploaded_bytes,
            String::new(),
        )?;
        row(
            "synced",
            day.day,
            ["", ""],
            String::new(),
            day.synced_bytes,
            String::new(),
        )?;
    }
    csv.done()
}
