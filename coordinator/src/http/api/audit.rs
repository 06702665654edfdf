//! `/api/audit`: who did what.

use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    extract::{Asked, cursor, limit, place, search},
    state::Api,
};
use crate::{
    catalog::{AuditCursor, AuditEntry},
    http::{
        json::Json,
        problem::{Problem, ProblemBody},
        responses::{Failures, NotAdmin, RateLimited},
    },
};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct AuditQuery {
    /// Only entries whose actor, action or subject contains this text.
    #[param(max_length = 255)]
    search: Option<String>,
    /// Entries on a page.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// The `next` of the previous page.
    after: Option<String>,
}

/// A page of the audit log.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Audit {
    /// The newest first.
    entries: Vec<AuditEntry>,
    /// Where the next page begins; null on the last.
    next: Option<String>,
}

/// Who did what, the newest first
///
/// Every change by the API and by commands.
#[utoipa::path(
    get,
    path = "/api/audit",
    tag = "audit",
    params(AuditQuery),
    security(("admin" = [])),
    responses(
        (status = 200, body = Audit),
        (status = 400, description = "The request is malformed", body = ProblemBody),
        NotAdmin,
        RateLimited,
        Failures,
    ),
)]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Asked(query): Asked<AuditQuery>,
) -> Result<Json<Audit>, Problem> {
    let limit = limit(query.limit)?;
    let after: Option<AuditCursor> = place(query.after.as_deref())?;
    let search = search(query.search)?;
    let page = api.catalog.audit_page(search.as_deref(), after, limit);
    let (entries, next) = page.await?;
    Ok(Json(Audit {
        entries,
        next: next.map(|next| cursor(&next)),
    }))
}
