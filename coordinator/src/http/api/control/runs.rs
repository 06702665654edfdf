//! `POST /api/runs…`: starts, retries and cancels runs.

use std::{sync::Arc, time::Duration};

use axum::{extract::State, http::StatusCode};
use seedbed_protocol::StoreId;
use serde::Deserialize;
use utoipa::ToSchema;

use super::task::to_its_end;
use crate::{
    catalog::{FailedJobs, RunKind, Sweep},
    http::{
        api::{
            extract::{Body, RunPath, store_id},
            state::Api,
            types::{Dropped, Started, StartedOver},
        },
        json::Json,
        problem::{Problem, ProblemBody},
        responses::{Failures, NotAdmin, RateLimited},
    },
    runs::StoreFilter,
};

/// Which stores a new run is for. All of them by default.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(in crate::http::api) struct NewRun {
    /// Only these stores.
    stores: Vec<String>,
    /// At most this many stores, from the beginning of the list.
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 4_294_967_295_i64)]
    limit: Option<u32>,
    /// Only stores whose snapshot is older than this, such as 6h, or that have none.
    #[schema(examples("6h"))]
    only_older_than: Option<String>,
    /// Accept a list of stores that is far shorter than before, and retire the missing stores.
    allow_fewer_stores: bool,
    /// Download every row, even if the live snapshot could be reused.
    full: bool,
    /// List unchanged stores too: ignore `:since`.
    all: bool,
}

/// Start a run
///
/// Returns once the run and its jobs are recorded. Workers make the snapshots afterwards.
#[utoipa::path(
    post,
    path = "/api/runs",
    tag = "runs",
    request_body = Option<NewRun>,
    security(("admin" = [])),
    responses(
        (status = 202, description = "The run and its jobs are recorded, and will be published", body = Started),
        (status = 400, description = "The request is malformed", body = ProblemBody),
        NotAdmin,
        (status = 404, description = "There is no such store", body = ProblemBody),
        (status = 409, description = "The list has far fewer stores than before (set allowFewerStores to accept that), or lists a store twice", body = ProblemBody),
        (status = 413, description = "The body is too large", body = ProblemBody),
        (status = 415, description = "The body is not JSON", body = ProblemBody),
        RateLimited,
        Failures,
        (status = 502, description = "The list of stores cannot be used", body = ProblemBody),
    ),
)]
pub(in crate::http::api) async fn start(
    State(api): State<Arc<Api>>,
    Body(new): Body<NewRun>,
) -> Result<(StatusCode, Json<Started>), Problem> {
    if new.limit == Some(0) {
        return Err(Problem::invalid("limit must be at least 1"));
    }
    if new.limit.is_some() && !new.stores.is_empty() {
        return Err(Problem::invalid("stores and limit exclude each other"));
    }
    let stores = new.stores.into_iter().map(store_id);
    let filter = StoreFilter {
        stores: stores.collect::<Result<_, _>>()?,
        limit: new.limit.map(u64::from),
        skip_unknown: false,
    };
    let older = new.only_older_than.as_deref().map(duration).transpose()?;
    let sweep = Sweep {
        only_older_than: older,
        allow_fewer: new.allow_fewer_stores,
        ..Sweep::all(RunKind::Api).asking_for(new.full, new.all)
    };
    started(api, filter, sweep).await
}

/// Lists a run, in a task that continues although the caller is gone.
pub(in crate::http::api) async fn started(
    api: Arc<Api>,
    filter: StoreFilter,
    sweep: Sweep,
) -> Result<(StatusCode, Json<Started>), Problem> {
    let listing = async move { api.runs.start(&api.stores, &filter, sweep).await };
    let listed = to_its_end(listing).await??;
    Ok((StatusCode::ACCEPTED, Json(listed.into())))
}

fn duration(text: &str) -> Result<Duration, Problem> {
    humantime::parse_duration(text)
        .map_err(|e| Problem::invalid(format!("onlyOlderThan is not a duration such as 6h: {e}")))
}

/// Which failed stores are retried. All of them by default.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::http::api) struct RetryRequest {
    /// Only these stores.
    stores: Vec<String>,
}

/// Retry the failed stores of a run
#[utoipa::path(
    post,
    path = "/api/runs/{run_id}/retry",
    tag = "runs",
    params(("run_id" = String, Path, format = "uuid")),
    request_body = Option<RetryRequest>,
    security(("admin" = [])),
    responses(
        (status = 202, description = "New jobs are recorded, and will be published", body = StartedOver),
        (status = 400, description = "The request is malformed", body = ProblemBody),
        NotAdmin,
        (status = 404, description = "There is no such run", body = ProblemBody),
        (status = 413, description = "The body is too large", body = ProblemBody),
        (status = 415, description = "The body is not JSON", body = ProblemBody),
        RateLimited,
        Failures,
    ),
)]
pub(in crate::http::api) async fn retry(
    State(api): State<Arc<Api>>,
    RunPath(run_id): RunPath,
    Body(request): Body<RetryRequest>,
) -> Result<(StatusCode, Json<StartedOver>), Problem> {
    let stores = request.stores.into_iter().map(store_id);
    let stores: Vec<StoreId> = stores.collect::<Result<_, _>>()?;
    let retrying = async move {
        let which = FailedJobs {
            run_id: Some(run_id),
            stores: &stores,
            reason: None,
        };
        api.runs.retry(which).await
    };
    let retried = to_its_end(retrying).await??;
    Ok((StatusCode::ACCEPTED, Json(retried.into())))
}

/// Cancel the jobs that no worker has started
#[utoipa::path(
    post,
    path = "/api/runs/{run_id}/cancel",
    tag = "runs",
    params(("run_id" = String, Path, format = "uuid")),
    security(("admin" = [])),
    responses(
        (status = 202, description = "Jobs that had not started are cancelled; started ones continue", body = Dropped),
        (status = 400, description = "The id is malformed", body = ProblemBody),
        NotAdmin,
        (status = 404, description = "There is no such run", body = ProblemBody),
        (status = 409, description = "The run has ended", body = ProblemBody),
        RateLimited,
        Failures,
    ),
)]
pub(in crate::http::api) async fn cancel(
    State(api): State<Arc<Api>>,
    RunPath(run_id): RunPath,
) -> Result<(StatusCode, Json<Dropped>), Problem> {
    let cancelling = async move { api.runs.cancel(run_id).await };
    let cancelled = to_its_end(cancelling).await??;
    Ok((StatusCode::ACCEPTED, Json(cancelled.into())))
}
