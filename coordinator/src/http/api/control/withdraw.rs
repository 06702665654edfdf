//! Takes snapshots back: of a store, of a run, or all.

use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::task::to_its_end;
use crate::{
    catalog::{Withdrawal, Withdrawn},
    http::{
        api::{
            extract::{Body, RunPath, StorePath},
            state::Api,
        },
        json::Json,
        problem::{Problem, ProblemBody},
        responses::{Failures, NotAdmin, RateLimited},
    },
    upkeep,
};

/// Take the live snapshot of a store back
///
/// The one before is live again, or none: then devices sync as without Seedbed. What was withdrawn is never live again.
#[utoipa::path(
    post,
    path = "/api/stores/{store_id}/withdraw",
    tag = "stores",
    params(("store_id" = String, Path, max_length = 255, min_length = 1)),
    security(("admin" = [])),
    responses(
        (status = 200, description = "How many stores have another snapshot now", body = Withdrawn),
        (status = 400, description = "The id is malformed", body = ProblemBody),
        NotAdmin,
        (status = 404, description = "There is no such store", body = ProblemBody),
        RateLimited,
        Failures,
    ),
)]
pub(super) async fn store(
    State(api): State<Arc<Api>>,
    StorePath(store_id): StorePath,
) -> Result<Json<Withdrawn>, Problem> {
    withdraw(api, Withdrawal::Store(store_id)).await
}

/// Take the live snapshots that a run made back
///
/// Each of its stores has the one from before the run again, or none.
#[utoipa::path(
    post,
    path = "/api/runs/{run_id}/withdraw",
    tag = "runs",
    params(("run_id" = String, Path, format = "uuid")),
    security(("admin" = [])),
    responses(
        (status = 200, description = "How many stores have another snapshot now", body = Withdrawn),
        (status = 400, description = "The id is malformed", body = ProblemBody),
        NotAdmin,
        (status = 404, description = "There is no such run", body = ProblemBody),
        RateLimited,
        Failures,
    ),
)]
pub(super) async fn run(
    State(api): State<Arc<Api>>,
    RunPath(run_id): RunPath,
) -> Result<Json<Withdrawn>, Problem> {
    withdraw(api, Withdrawal::Run(run_id)).await
}

/// That all are meant.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WithdrawAll {
    /// Has to be true: every store is meant.
    all: bool,
}

/// Take every live snapshot back
///
/// Each store has the one before again, or none. To have all devices sync as without Seedbed at once: POST /api/delivery.
#[utoipa::path(
    post,
    path = "/api/snapshots/withdraw",
    tag = "stores",
    request_body = WithdrawAll,
    security(("admin" = [])),
    responses(
        (status = 200, description = "How many stores have another snapshot now", body = Withdrawn),
        (status = 400, description = "The request is malformed, or does not say all", body = ProblemBody),
        NotAdmin,
        (status = 413, description = "The body is too large", body = ProblemBody),
        (status = 415, description = "The body is not JSON", body = ProblemBody),
        RateLimited,
        Failures,
    ),
)]
pub(super) async fn all(
    State(api): State<Arc<Api>>,
    Body(asked): Body<WithdrawAll>,
) -> Result<Json<Withdrawn>, Problem> {
    if !asked.all {
        return Err(Problem::invalid(
            "this takes the snapshots of every store back; say {\"all\": true} if that is meant",
        ));
    }
    withdraw(api, Withdrawal::All).await
}

async fn withdraw(api: Arc<Api>, which: Withdrawal) -> Result<Json<Withdrawn>, Problem> {
    let withdrawing = async move { upkeep::withdraw(&api.catalog, &api.snapshots, &which).await };
    Ok(Json(to_its_end(withdrawing).await??))
}
