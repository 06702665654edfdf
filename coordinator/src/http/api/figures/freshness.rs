//! `/api/freshness`: whether snapshots were as young as was promised, over the last 30 days.

use std::sync::Arc;

use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    catalog::FreshCount,
    http::{
        api::{
            extract::{Asked, Nothing},
            state::Api,
        },
        json::Json,
        problem::{Problem, ProblemBody},
        responses::{Failures, NotAdmin, RateLimited},
    },
};

/// How fresh the stores were in the last 30 days, and what was promised.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct FreshnessHistory {
    /// How old the snapshot of a store may be (serve.freshness_age). Seconds.
    age_seconds: u64,
    /// The share of stores for which that has to be true (serve.freshness_objective).
    objective: f64,
    /// The stores now.
    stores: u64,
    /// Those of them whose snapshot is young enough.
    fresh: u64,
    /// The share of stores that were fresh, over the whole time; null as long as nothing is recorded.
    share: Option<f64>,
    /// How much of the error budget is left, as a share of it: 1 is all of it, 0 is none, and less means that the promise was
    /// missed. Null as long as nothing is recorded.
    budget_left: Option<f64>,
    /// Each day (UTC) that was recorded, once an hour, the oldest first.
    days: Vec<FreshnessDay>,
}

/// How fresh the stores were on a day.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct FreshnessDay {
    /// When it began.
    day: DateTime<Utc>,
    /// The share of stores that were fresh, over its hours.
    share: f64,
    /// Whether the promise was kept.
    kept: bool,
}

/// Whether snapshots were as young as was promised, over the last 30 days
#[utoipa::path(
    get,
    path = "/api/freshness",
    tag = "figures",
    security(("admin" = [])),
    responses(
        (status = 200, body = FreshnessHistory),
        (status = 400, description = "The request is malformed", body = ProblemBody),
        NotAdmin,
        RateLimited,
        Failures,
    ),
)]
pub(super) async fn freshness(
    State(api): State<Arc<Api>>,
    _: Asked<Nothing>,
) -> Result<Json<FreshnessHistory>, Problem> {
    let promise = api.promise;
    let now = api.catalog.fresh_now(promise.age).await?;
    let history = api.catalog.freshness_history().await?;
    let is_known = !history.days.is_empty();
    let day = |(day, count): (DateTime<Utc>, FreshCount)| FreshnessDay {
        day,
        share: count.share(),
        kept: count.keeps(promise),
    };
    Ok(Json(FreshnessHistory {
        age_seconds: promise.age.as_secs(),
        objective: promise.objective,
        stores: now.stores,
        fresh: now.fresh,
        share: is_known.then(|| history.all.share()),
        budget_left: is_known.then(|| history.all.budget_left(promise)),
        days: history.days.into_iter().map(day).collect(),
    }))
}
