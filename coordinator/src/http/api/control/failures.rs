//! `/api/failures…`: failed stores by reason, and what is done about all that fail for one.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::task::to_its_end;
use crate::{
    catalog::{CatalogError, FailedJobs, FailureGroup, FailuresOf, Held},
    http::{
        api::{
            extract::{Asked, limit},
            state::Api,
            types::StartedOver,
        },
        auth::Caller,
        json::Json,
        problem::{Problem, ProblemBody},
        responses::{Failures, NotAdmin, RateLimited},
    },
};

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(retry))
        .routes(routes!(quarantine))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct FailuresQuery {
    /// Only the failures of this run, also of stores that have succeeded since; by default of each store whose newest job failed.
    #[param(format = "uuid")]
    run: Option<String>,
    /// Reasons in the answer.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// Failed stores, by reason.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Reasons {
    /// Those of the most stores first.
    reasons: Vec<FailureGroup>,
    /// Reasons that there are.
    total: u64,
}

/// What stores failed for
///
/// Stores that failed for the same reason are one entry: what differs from store to store is left out of the message.
#[utoipa::path(
    get,
    path = "/api/failures",
    tag = "failures",
    params(FailuresQuery),
    security(("admin" = [])),
    responses(
        (status = 200, body = Reasons),
        (status = 400, description = "The request is malformed", body = ProblemBody),
        NotAdmin,
        (status = 404, description = "There is no such run", body = ProblemBody),
        RateLimited,
        Failures,
    ),
)]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Asked(query): Asked<FailuresQuery>,
) -> Result<Json<Reasons>, Problem> {
    let of = match query.run {
        None => FailuresOf::Now,
        Some(text) => {
            let run_id = text.parse();
            let run_id =
                run_id.map_err(|_| Problem::invalid(format!("{text:?} is not the id of a run")))?;
            if api.catalog.find_run(run_id).await?.is_none() {
                return Err(CatalogError::UnknownRun { run_id }.into());
            }
            FailuresOf::Run(run_id)
        }
    };
    let limit = i64::from(limit(query.limit)?);
    let quarantine = api.runs.quarantine();
    let (reasons, total) = api.catalog.failure_groups(of, quarantine, limit).await?;
    Ok(Json(Reasons { reasons, total }))
}

/// Retry every store that failed for a reason
#[utoipa::path(
    post,
    path = "/api/failures/{key}/retry",
    tag = "failures",
    params(("key" = String, Path, description = "What names the reason", max_length = 64, min_length = 1)),
    security(("admin" = [])),
    responses(
        (status = 202, description = "New jobs are recorded, and will be published", body = StartedOver),
        (status = 400, description = "The key is malformed", body = ProblemBody),
        NotAdmin,
        (status = 404, description = "No store failed for such a reason", body = ProblemBody),
        RateLimited,
        Failures,
    ),
)]
pub(super) async fn retry(
    State(api): State<Arc<Api>>,
    path: Result<Path<String>, PathRejection>,
) -> Result<(StatusCode, Json<StartedOver>), Problem> {
    let key = key(path)?;
    let retrying = async move {
        let reason = Some(key.as_str());
        let which = FailedJobs {
            reason,
            ..FailedJobs::default()
        };
        api.runs.retry(which).await
    };
    let retried = to_its_end(retrying).await??;
    Ok((StatusCode::ACCEPTED, Json(retried.into())))
}

/// Quarantine every store that failed for a reason
///
/// Sweeps skip them, but for probes with growing pauses. Whatever succeeds ends it: a probe, a retry, or a job for that store alone.
#[utoipa::path(
    post,
    path = "/api/failures/{key}/quarantine",
    tag = "failures",
    params(("key" = String, Path, description = "What names the reason", max_length = 64, min_length = 1)),
    security(("admin" = [])),
    responses(
        (status = 200, description = "How many stores are quarantined for it now", body = Held),
        (status = 400, description = "The key is malformed", body = ProblemBody),
        NotAdmin,
        (status = 404, description = "No store failed for such a reason", body = ProblemBody),
        (status = 409, description = "The settings have no quarantine", body = ProblemBody),
        RateLimited,
        Failures,
    ),
)]
pub(super) async fn quarantine(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<Held>, Problem> {
    let key = key(path)?;
    let quarantine = api.runs.quarantine();
    let holding = async move {
        let by = &caller.actor;
        api.catalog.quarantine_reason(&key, quarantine, by).await
    };
    Ok(Json(to_its_end(holding).await??))
}

fn key(path: Result<Path<String>, PathRejection>) -> Result<String, Problem> {
    let Path(key) = path?;
    let is_key = key.len() <= 64 && key.chars().all(|c| c.is_ascii_alphanumeric());
    match is_key {
        true => Ok(key),
        false => Err(Problem::invalid(format!(
            "{key:?} is not the key of a reason"
        ))),
    }
}
