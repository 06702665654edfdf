//! `/api/workers`: which workers are there.

use std::sync::Arc;

use axum::{Json, extract::State};

use super::{
    extract::{Asked, Nothing},
    state::Api,
    types::{Worker, Workers},
};
use crate::http::{
    problem::{Problem, ProblemBody},
    responses::{Failures, NotAdmin, RateLimited},
};

/// Workers that say that they are there
///
/// By name, at most 1,000. One that sends no heartbeat any more is gone after `worker.heartbeat` x 3.5.
#[utoipa::path(
    get,
    path = "/api/workers",
    tag = "overview",
    security(("admin" = [])),
    responses(
        (status = 200, body = Workers),
        (status = 400, description = "The request is malformed", body = ProblemBody),
        NotAdmin,
        RateLimited,
        Failures,
    ),
)]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    _: Asked<Nothing>,
) -> Result<Json<Workers>, Problem> {
    let workers = api.catalog.workers().await?;
    Ok(Json(Workers {
        workers: workers.into_iter().map(Worker::from).collect(),
    }))
}
