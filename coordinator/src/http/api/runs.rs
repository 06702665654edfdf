//! Runs: what they came to, and what can be done about them.

use std::{sync::Arc, time::Duration};

use axum::{Json, extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use seedbed_protocol::{RunId, StoreId};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::{
    extract::{Asked, Body, RunPath, cursor, limit, place, search, store_id},
    types::{Dropped, Job, JobState, Jobs, Run, RunState, Runs, Started, StartedOver},
};
use crate::http::server::routes::App;
use crate::runs::control::runs as operator;
use crate::{
    catalog::{CatalogError, Download, JobCursor, JobFilter, ListOptions},
    http::problem::{Problem, ProblemBody},
    runs::list::StoreFilter,
};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunsQuery {
    /// Only those in this state.
    state: Option<RunState>,
    /// Runs on a page.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// The `next` of the page before.
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
        (status = 400, description = "The request makes no sense", body = ProblemBody),
        (status = 401, description = "Not an administrator", body = ProblemBody),
        (status = 403, description = "Nobody may", body = ProblemBody),
        (status = 429, description = "Too many requests", body = ProblemBody),
        (status = 500, description = "Something failed", body = ProblemBody),
        (status = 503, description = "Something is away", body = ProblemBody),
    ),
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Asked(query): Asked<RunsQuery>,
) -> Result<Json<Runs>, Problem> {
    let limit = limit(query.limit)?;
    let state = query.state;
    let after: Option<(DateTime<Utc>, RunId)> = place(query.after.as_deref())?;
    let mut runs = app
        .catalog
        .runs_page(state, after, i64::from(limit) + 1)
        .await?;
    let more = runs.len() > limit as usize;
    runs.truncate(limit as usize);
    let last = runs.last().filter(|_| more);
    Ok(Json(Runs {
        next: last.map(|last| cursor(&(last.started_at, last.run_id))),
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
        (status = 400, description = "This is no id", body = ProblemBody),
        (status = 401, description = "Not an administrator", body = ProblemBody),
        (status = 403, description = "Nobody may", body = ProblemBody),
        (status = 404, description = "There is no such run", body = ProblemBody),
        (status = 429, description = "Too many requests", body = ProblemBody),
        (status = 500, description = "Something failed", body = ProblemBody),
        (status = 503, description = "Something is away", body = ProblemBody),
    ),
)]
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    RunPath(run_id): RunPath,
) -> Result<Json<Run>, Problem> {
    let run = app.catalog.find_run(run_id).await?;
    let run = run.ok_or(CatalogError::UnknownRun { run_id })?;
    Ok(Json(run.into()))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct JobsQuery {
    /// Only those in this state.
    state: Option<JobState>,
    /// Only those of stores whose id has this in it.
    #[param(max_length = 255)]
    search: Option<String>,
    /// Jobs on a page.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// The `next` of the page before.
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
        (status = 400, description = "The request makes no sense", body = ProblemBody),
        (status = 401, description = "Not an administrator", body = ProblemBody),
        (status = 403, description = "Nobody may", body = ProblemBody),
        (status = 404, description = "There is no such run", body = ProblemBody),
        (status = 429, description = "Too many requests", body = ProblemBody),
        (status = 500, description = "Something failed", body = ProblemBody),
        (status = 503, description = "Something is away", body = ProblemBody),
    ),
)]
pub(crate) async fn jobs(
    State(app): State<Arc<App>>,
    RunPath(run_id): RunPath,
    Asked(query): Asked<JobsQuery>,
) -> Result<Json<Jobs>, Problem> {
    let limit = limit(query.limit)?;
    let after: Option<JobCursor> = place(query.after.as_deref())?;
    let filter = JobFilter {
        state: query.state,
        search: search(query.search)?,
    };
    if app.catalog.find_run(run_id).await?.is_none() {
        return Err(CatalogError::UnknownRun { run_id }.into());
    }
    let (jobs, next) = app.catalog.jobs_page(run_id, &filter, after, limit).await?;
    Ok(Json(Jobs {
        jobs: jobs.into_iter().map(Job::from).collect(),
        next: next.map(|next| cursor(&next)),
    }))
}

/// Which stores a new run is for. Nothing of it: all of them.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct NewRun {
    /// Only these.
    stores: Vec<String>,
    /// At most so many, from the beginning of the list.
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 4_294_967_295_i64)]
    limit: Option<u32>,
    /// Only stores whose snapshot is older than this, such as 6h, or that have none.
    #[schema(examples("6h"))]
    only_older_than: Option<String>,
    /// Whether the list of stores may be far shorter than before.
    allow_fewer_stores: bool,
    /// Whether every row of every store is downloaded, also where there is a snapshot to start from.
    full: bool,
    /// Whether every store is listed, also those that the source leaves out since they have not changed.
    all: bool,
}

/// Start a run
///
/// Answers when the stores are listed; workers take it from there.
#[utoipa::path(
    post,
    path = "/api/runs",
    tag = "runs",
    request_body = Option<NewRun>,
    security(("admin" = [])),
    responses(
        (status = 202, description = "It is listed", body = Started),
        (status = 400, description = "The request makes no sense", body = ProblemBody),
        (status = 401, description = "Not an administrator", body = ProblemBody),
        (status = 403, description = "Nobody may", body = ProblemBody),
        (status = 404, description = "There is no such store", body = ProblemBody),
        (status = 409, description = "The list of stores is suspicious", body = ProblemBody),
        (status = 413, description = "The body is too large", body = ProblemBody),
        (status = 415, description = "The body is not JSON", body = ProblemBody),
        (status = 429, description = "Too many requests", body = ProblemBody),
        (status = 500, description = "Something failed", body = ProblemBody),
        (status = 502, description = "The list of stores cannot be used", body = ProblemBody),
        (status = 503, description = "Something is away", body = ProblemBody),
    ),
)]
pub(crate) async fn start(
    State(app): State<Arc<App>>,
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
    let options = ListOptions {
        only_older_than: older,
        allow_fewer: new.allow_fewer_stores,
        download: Download::everything_if(new.full),
        only_changed: !(new.full || new.all),
        ..operator::options("api", true)
    };
    started(app, filter, options).await
}

/// Lists a run, in a task that goes on although the caller is gone.
pub(crate) async fn started(
    app: Arc<App>,
    filter: StoreFilter,
    options: ListOptions,
) -> Result<(StatusCode, Json<Started>), Problem> {
    let listing = async move { app.operator.start(&filter, options).await };
    let listed = whatever_happens(listing).await??;
    Ok((StatusCode::ACCEPTED, Json(listed.into())))
}

fn duration(text: &str) -> Result<Duration, Problem> {
    humantime::parse_duration(text)
        .map_err(|e| Problem::invalid(format!("onlyOlderThan is not a duration such as 6h: {e}")))
}

/// Does `work` to its end, also when the caller goes away.
async fn whatever_happens<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, Problem> {
    use tracing::Instrument;
    let task = tokio::spawn(work.in_current_span());
    task.await
        .map_err(|error| Problem::behind("the request", &error, false))
}

/// Which failed stores start over. Nothing of it: all of them.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Again {
    /// Only these.
    stores: Vec<String>,
}

/// Start the failed stores of a run over
#[utoipa::path(
    post,
    path = "/api/runs/{run_id}/retry",
    tag = "runs",
    params(("run_id" = String, Path, format = "uuid")),
    request_body = Option<Again>,
    security(("admin" = [])),
    responses(
        (status = 202, description = "They are listed", body = StartedOver),
        (status = 400, description = "The request makes no sense", body = ProblemBody),
        (status = 401, description = "Not an administrator", body = ProblemBody),
        (status = 403, description = "Nobody may", body = ProblemBody),
        (status = 404, description = "There is no such run", body = ProblemBody),
        (status = 413, description = "The body is too large", body = ProblemBody),
        (status = 415, description = "The body is not JSON", body = ProblemBody),
        (status = 429, description = "Too many requests", body = ProblemBody),
        (status = 500, description = "Something failed", body = ProblemBody),
        (status = 503, description = "Something is away", body = ProblemBody),
    ),
)]
pub(crate) async fn retry(
    State(app): State<Arc<App>>,
    RunPath(run_id): RunPath,
    Body(again): Body<Again>,
) -> Result<(StatusCode, Json<StartedOver>), Problem> {
    let stores = again.stores.into_iter().map(store_id);
    let stores: Vec<StoreId> = stores.collect::<Result<_, _>>()?;
    let retrying = async move { app.operator.retry(Some(run_id), &stores).await };
    let retried = whatever_happens(retrying).await??;
    Ok((StatusCode::ACCEPTED, Json(retried.into())))
}

/// Drop what no worker has started
#[utoipa::path(
    post,
    path = "/api/runs/{run_id}/cancel",
    tag = "runs",
    params(("run_id" = String, Path, format = "uuid")),
    security(("admin" = [])),
    responses(
        (status = 202, description = "It is cancelled", body = Dropped),
        (status = 400, description = "This is no id", body = ProblemBody),
        (status = 401, description = "Not an administrator", body = ProblemBody),
        (status = 403, description = "Nobody may", body = ProblemBody),
        (status = 404, description = "There is no such run", body = ProblemBody),
        (status = 409, description = "The run has ended", body = ProblemBody),
        (status = 429, description = "Too many requests", body = ProblemBody),
        (status = 500, description = "Something failed", body = ProblemBody),
        (status = 503, description = "Something is away", body = ProblemBody),
    ),
)]
pub(crate) async fn cancel(
    State(app): State<Arc<App>>,
    RunPath(run_id): RunPath,
) -> Result<(StatusCode, Json<Dropped>), Problem> {
    let cancelling = async move { app.operator.cancel(run_id).await };
    let cancelled = whatever_happens(cancelling).await??;
    Ok((StatusCode::ACCEPTED, Json(cancelled.into())))
}
