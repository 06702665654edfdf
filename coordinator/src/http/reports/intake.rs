//! `POST /reports`: takes a report of a first launch.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{
        Query, State,
        rejection::{JsonRejection, QueryRejection},
    },
    http::{HeaderMap, StatusCode},
};
use seedbed_protocol::StoreId;
use serde_json::{Map, Value};

use super::{
    body::{Report, ReportQuery},
    state::Reports,
};
use crate::{
    catalog::Received,
    http::{
        auth::client_token,
        problem::{Problem, ProblemBody},
        responses::Failures,
    },
};

/// Report how a first launch went
///
/// The caller's own JWT has to name the store, as for GET /database. Fixed words and numbers only, at most 4 KiB; neither the
/// token nor the caller's address is kept.
#[utoipa::path(
    post,
    path = "/reports",
    tag = "download",
    params(ReportQuery),
    request_body = Report,
    security(("client" = [])),
    responses(
        (status = 204, description = "The report is counted, now or earlier"),
        (status = 400, description = "The request is malformed", body = ProblemBody),
        (status = 401, description = "The token is missing, or is not accepted", body = ProblemBody),
        (status = 403, description = "The token is for another store, or reports are not taken here", body = ProblemBody),
        (status = 413, description = "The report is larger than 4 KiB", body = ProblemBody),
        (status = 415, description = "The report is not JSON", body = ProblemBody),
        (status = 429, description = "Too many requests from this address, or too many reports with this token or of this store; \
            retry after Retry-After seconds", body = ProblemBody),
        Failures,
    ),
)]
pub(super) async fn report(
    State(reports): State<Arc<Reports>>,
    query: Result<Query<ReportQuery>, QueryRejection>,
    headers: HeaderMap,
    body: Result<Json<Map<String, Value>>, JsonRejection>,
) -> Result<StatusCode, Problem> {
    if !reports.accept {
        return Err(disabled("no reports are taken here (reports.accept)"));
    }
    let Query(query) = query?;
    let store_id = StoreId::new(query.store_id)
        .map_err(|error| Problem::invalid(format!("store_id: {error}")))?;
    let token = client_token(&headers);
    reports.clients.check(token, &store_id).await?;
    let Some(token) = token.filter(|_| !reports.clients.is_anonymous()) else {
        return Err(disabled(
            "no reports are taken without tokens (download.anonymous)",
        ));
    };
    let Json(body) = body?;
    let report = Report::read(body)?;
    reports.tokens.check(token).map_err(|wait| {
        too_many(
            "too many reports with this token; try again later (reports.per_token)",
            wait,
        )
    })?;
    let received = reports
        .catalog
        .record_report(&store_id, &report, reports.per_store)
        .await?;
    match received {
        Received::New => reports.metrics.reported(&report),
        Received::Known => {}
        Received::TooMany { wait } => {
            let message = "too many reports of this store; try again later (reports.per_store)";
            return Err(too_many(message, wait));
        }
    }
    Ok(StatusCode::NO_CONTENT)
}

fn disabled(message: &str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "reports_disabled", message)
}

fn too_many(message: &str, wait: Duration) -> Problem {
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_reports", message).retry_after(wait)
}
