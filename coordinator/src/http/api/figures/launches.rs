//! `/api/launches`: how the first launches of apps went, as devices have reported.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::{csv::Csv, period::Period};
use crate::{
    catalog::{LaunchDay, LaunchGroup},
    http::{
        api::{extract::Asked, state::Api},
        json::Json,
        problem::{Problem, ProblemBody},
        responses::{Failures, NotAdmin, RateLimited},
    },
};

/// The first launches of a period.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Launches {
    /// When the period began.
    since: DateTime<Utc>,
    /// When it ended.
    until: DateTime<Utc>,
    /// Days with launches, the oldest first, in UTC.
    days: Vec<LaunchDay>,
    /// Launches that are alike, the most frequent first.
    groups: Vec<LaunchGroup>,
}

/// First launches, as devices have reported them
#[utoipa::path(
    get,
    path = "/api/launches",
    tag = "figures",
    params(Period),
    security(("admin" = [])),
    responses(
        (status = 200, body = Launches),
        (status = 400, description = "The request is malformed", body = ProblemBody),
        NotAdmin,
        RateLimited,
        Failures,
    ),
)]
pub(super) async fn launches(
    State(api): State<Arc<Api>>,
    Asked(period): Asked<Period>,
) -> Result<Json<Launches>, Problem> {
    let until = api.catalog.now().await?;
    let since = period.since(until)?;
    Ok(Json(Launches {
        since,
        until,
        days: api.catalog.launch_days(since).await?,
        groups: api.catalog.launch_groups(since).await?,
    }))
}

/// First launches, as CSV
///
/// A row for those that are alike, as GET /api/launches has them.
#[utoipa::path(
    get,
    path = "/api/launches.csv",
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
pub(super) async fn launches_csv(
    State(api): State<Arc<Api>>,
    Asked(period): Asked<Period>,
) -> Result<Response, Problem> {
    let since = period.since(api.catalog.now().await?)?;
    let mut csv = Csv::new(
        "first-launches.csv",
        &[
            "platform", "outcome", "reason", "form", "encoding", "launches", "resumed", "bytes",
            "p50_ms", "p95_ms",
        ],
    )?;
    for group in api.catalog.launch_groups(since).await? {
        let numbers = [
            group.launches,
            group.resumed,
            group.bytes,
            group.p50_millis,
            group.p95_millis,
        ];
        let words = [
            Some(group.platform),
            Some(group.outcome),
            group.reason,
            group.form,
            group.encoding,
        ];
        let words = words.into_iter().map(Option::unwrap_or_default);
        csv.row(words.chain(numbers.map(|number| number.to_string())))?;
    }
    csv.done()
}
