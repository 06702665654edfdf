//! `/api/runs/{run_id}/timeline`: a run in time.

use std::sync::Arc;

use axum::extract::State;

use super::{
    extract::{Asked, Nothing, RunPath},
    state::Api,
    types::Timeline,
};
use crate::{
    http::{
        json::Json,
        problem::{Problem, ProblemBody},
        responses::{Failures, NotAdmin, RateLimited},
    },
    runs::progress::timeline,
};

/// A run in time: which worker was busy with what, and what bounded the run
///
/// Of the same size for ten jobs and for a hundred thousand: many jobs are drawn together.
#[utoipa::path(
    get,
    path = "/api/runs/{run_id}/timeline",
    tag = "runs",
    params(("run_id" = String, Path, format = "uuid")),
    security(("admin" = [])),
    responses(
        (status = 200, body = Timeline),
        (status = 400, description = "The id is malformed", body = ProblemBody),
        NotAdmin,
        (status = 404, description = "There is no such run", body = ProblemBody),
        RateLimited,
        Failures,
    ),
)]
pub(super) async fn timeline(
    State(api): State<Arc<Api>>,
    _: Asked<Nothing>,
    RunPath(run_id): RunPath,
) -> Result<Json<Timeline>, Problem> {
    let timeline = timeline::read(&api.catalog, run_id).await?;
    Ok(Json(timeline.into()))
}
