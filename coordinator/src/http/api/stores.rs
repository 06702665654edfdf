//! `/api/stores…`: how fresh the stores are, the history of each, and a job for one now.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use chrono::Utc;
use seedbed_protocol::StoreId;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    control::started,
    extract::{Asked, Nothing, StorePath, cursor, limit, place, search},
    state::Api,
    types::{Job, Snapshot, Started, Store, StoreDetail, Stores},
};
use crate::{
    catalog::{Age, JobState, RunKind, StoreSearch, Sweep},
    http::{
        json::Json,
        problem::{Problem, ProblemBody},
        responses::{Failures, NotAdmin, RateLimited},
    },
    runs::StoreFilter,
};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct StoresQuery {
    /// Only stores whose id contains this text.
    #[param(max_length = 255)]
    search: Option<String>,
    /// Only stores whose snapshot has this age: `hour` (younger than an hour), `sixHours`, `day`, `older`, or `never` (no
    /// snapshot).
    #[param(inline)]
    freshness: Option<Age>,
    /// Only stores whose newest job is in this state.
    state: Option<JobState>,
    /// With true, only quarantined stores.
    quarantined: Option<bool>,
    /// Stores on a page.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// The `next` of the previous page.
    after: Option<String>,
}

/// Stores, in the order of their ids
#[utoipa::path(
    get,
    path = "/api/stores",
    tag = "stores",
    params(StoresQuery),
    security(("admin" = [])),
    responses(
        (status = 200, body = Stores),
        (status = 400, description = "The request is malformed", body = ProblemBody),
        NotAdmin,
        RateLimited,
        Failures,
    ),
)]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Asked(query): Asked<StoresQuery>,
) -> Result<Json<Stores>, Problem> {
    let limit = limit(query.limit)?;
    let quarantine = api.runs.quarantine();
    let only_quarantined = query.quarantined == Some(true);
    let wanted = StoreSearch {
        failing_for: only_quarantined.then(|| quarantine.sweeps()),
        age: query.freshness,
        state: query.state,
        search: search(query.search)?,
    };
    let after: Option<StoreId> = place(query.after.as_deref())?;
    let now = Utc::now();
    let page = api.catalog.stores_page(&wanted, after.as_ref(), limit, now);
    let (stores, next) = page.await?;
    Ok(Json(Stores {
        next: next.map(|next| cursor(&next)),
        stores: stores
            .into_iter()
            .map(|store| Store::new(store, quarantine))
            .collect(),
        total: api.catalog.count_stores(&wanted, now).await?,
    }))
}

/// One store with its history
#[utoipa::path(
    get,
    path = "/api/stores/{store_id}",
    tag = "stores",
    params(("store_id" = String, Path, max_length = 255, min_length = 1)),
    security(("admin" = [])),
    responses(
        (status = 200, body = StoreDetail),
        (status = 400, description = "The id is malformed", body = ProblemBody),
        NotAdmin,
        (status = 404, description = "There is no such store", body = ProblemBody),
        RateLimited,
        Failures,
    ),
)]
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    _: Asked<Nothing>,
    StorePath(store_id): StorePath,
) -> Result<Json<StoreDetail>, Problem> {
    let history = api.catalog.store_history(&store_id).await?;
    let history = history.ok_or_else(|| {
        let message = format!("the store {:?} was never listed", store_id.as_str());
        Problem::not_found("unknown_store", message)
    })?;
    Ok(Json(StoreDetail {
        store: Store::new(history.store, api.runs.quarantine()),
        snapshots: history.snapshots.into_iter().map(Snapshot::from).collect(),
        jobs: history.jobs.into_iter().map(Job::from).collect(),
    }))
}

/// Seed a store now
#[utoipa::path(
    post,
    path = "/api/stores/{store_id}/seed",
    tag = "stores",
    params(("store_id" = String, Path, max_length = 255, min_length = 1)),
    security(("admin" = [])),
    responses(
        (status = 202, description = "The run and its job are recorded, and will be published", body = Started),
        (status = 400, description = "The id is malformed", body = ProblemBody),
        NotAdmin,
        (status = 404, description = "The store is not in the source", body = ProblemBody),
        (status = 409, description = "The list of stores has a store twice", body = ProblemBody),
        RateLimited,
        Failures,
        (status = 502, description = "The list of stores cannot be used", body = ProblemBody),
    ),
)]
pub(super) async fn seed(
    State(api): State<Arc<Api>>,
    StorePath(store_id): StorePath,
) -> Result<(StatusCode, Json<Started>), Problem> {
    let filter = StoreFilter {
        stores: [store_id].into(),
        ..StoreFilter::default()
    };
    started(api, filter, Sweep::some(RunKind::Api)).await
}
