//! `/api/runs…`: runs and their jobs.

use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    extract::{Asked, Nothing, RunPath, cursor, limit, place, search},
    state::Api,
    types::{Job, Jobs, Run, Runs},
};
use crate::{
    catalog::{CatalogError, JobCursor, JobFilter, JobState, RunComparison, RunCursor, RunState},
    http::{
        json::Json,
        problem::{Problem, ProblemBody},
        responses::{Failures, NotAdmin, RateLimited},
    },
};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct RunsQuery {
    /// Only jobs in this state.
    state: Option<RunState>,
    /// Runs on a page.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// The `next` of the previous page.
    after: Option<String>,
}

/// Runs, the newest first
#[utoipa::path(
    get,
    path = "/api/runs",
    tag = "runs",
    params(RunsQuery),
    security(("admin" = [])),
    responses(
        (status = 200, body = Runs),
        (status = 400, description = "The request is malformed", body = ProblemBody),
        NotAdmin,
        RateLimited,
        Failures,
    ),
)]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Asked(query): Asked<RunsQuery>,
) -> Result<Json<Runs>, Problem> {
    let limit = limit(query.limit)?;
    let after: Option<RunCursor> = place(query.after.as_deref())?;
    let (runs, next) = api.catalog.runs_page(query.state, after, limit).await?;
    Ok(Json(Runs {
        next: next.map(|next| cursor(&next)),
        runs: runs.into_iter().map(Run::from).collect(),
    }))
}

/// One run
#[utoipa::path(
    get,
    path = "/api/runs/{run_id}",
    tag = "runs",
    params(("run_id" = String, Path, format = "uuid")),
    security(("admin" = [])),
    responses(
        (status = 200, body = Run),
        (status = 400, description = "The id is malformed", body = ProblemBody),
        NotAdmin,
        (status = 404, description = "There is no such run", body = ProblemBody),
        RateLimited,
        Failures,
    ),
)]
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    _: Asked<Nothing>,
    RunPath(run_id): RunPath,
) -> Result<Json<Run>, Problem> {
    let run = api.catalog.find_run(run_id).await?;
    let run = run.ok_or(CatalogError::UnknownRun { run_id })?;
    let mut run = Run::from(run);
    run.config_changes = api.catalog.config_changes(run_id).await?;
    Ok(Json(run))
}

/// A run beside the one before it, if there was one.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Compared {
    /// Null for the first run.
    comparison: Option<RunComparison>,
}

/// A run beside the one before it
///
/// Which stores fail since, which work again, and which take longer. A sweep is compared with the sweep before, another run with
/// the run before; retries and what devices asked for are nobody's run before.
#[utoipa::path(
    get,
    path = "/api/runs/{run_id}/comparison",
    tag = "runs",
    params(("run_id" = String, Path, format = "uuid")),
    security(("admin" = [])),
    responses(
        (status = 200, body = Compared),
        (status = 400, description = "The id is malformed", body = ProblemBody),
        NotAdmin,
        (status = 404, description = "There is no such run", body = ProblemBody),
        RateLimited,
        Failures,
    ),
)]
pub(super) async fn comparison(
    State(api): State<Arc<Api>>,
    _: Asked<Nothing>,
    RunPath(run_id): RunPath,
) -> Result<Json<Compared>, Problem> {
    if api.catalog.find_run(run_id).await?.is_none() {
        return Err(CatalogError::UnknownRun { run_id }.into());
    }
    let comparison = api.catalog.compare_run(run_id).await?;
    Ok(Json(Compared { comparison }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct JobsQuery {
    /// Only jobs in this state.
    state: Option<JobState>,
    /// Only jobs of stores whose id contains this text.
    #[param(max_length = 255)]
    search: Option<String>,
    /// Jobs on a page.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// The `next` of the previous page.
    after: Option<String>,
}

/// The jobs of a run, in the order of the list of stores
#[utoipa::path(
    get,
    path = "/api/runs/{run_id}/jobs",
    tag = "runs",
    params(("run_id" = String, Path, format = "uuid"), JobsQuery),
    security(("admin" = [])),
    responses(
        (status = 200, body = Jobs),
        (status = 400, description = "The request is malformed", body = ProblemBody),
        NotAdmin,
        (status = 404, description = "There is no such run", body = ProblemBody),
        RateLimited,
        Failures,
    ),
)]
pub(super) async fn jobs(
    State(api): State<Arc<Api>>,
    RunPath(run_id): RunPath,
    Asked(query): Asked<JobsQuery>,
) -> Result<Json<Jobs>, Problem> {
    let limit = limit(query.limit)?;
    let after: Option<JobCursor> = place(query.after.as_deref())?;
    let filter = JobFilter {
        state: query.state,
        search: search(query.search)?,
    };
    if api.catalog.find_run(run_id).await?.is_none() {
        return Err(CatalogError::UnknownRun { run_id }.into());
    }
    let (jobs, next) = api.catalog.jobs_page(run_id, &filter, after, limit).await?;
    Ok(Json(Jobs {
        jobs: jobs.into_iter().map(Job::from).collect(),
        next: next.map(|next| cursor(&next)),
    }))
}
