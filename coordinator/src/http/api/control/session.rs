//! `/api/session`: who the caller is.

use axum::Extension;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    catalog::Role,
    http::{
        auth::Caller,
        json::Json,
        problem::ProblemBody,
        responses::{Failures, RateLimited},
    },
};

/// Who the caller is, and what that one may do.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Session {
    /// As the audit log has it; null for one who has shown nothing.
    actor: Option<String>,
    /// What the caller may do; null for nothing.
    role: Option<Role>,
}

/// Who I am, and what I may do
///
/// For everybody: who shows nothing is nobody, and who shows a wrong token is refused.
#[utoipa::path(
    get,
    path = "/api/session",
    tag = "access",
    responses(
        (status = 200, body = Session),
        (status = 401, description = "The token is wrong, expired or revoked", body = ProblemBody),
        (status = 403, description = "The API is disabled, or the request comes from another site", body = ProblemBody),
        RateLimited,
        Failures,
    ),
)]
pub(super) async fn show(caller: Option<Extension<Caller>>) -> Json<Session> {
    let caller = caller.map(|Extension(caller)| caller);
    Json(Session {
        role: caller.as_ref().map(|caller| caller.role),
        actor: caller.map(|caller| caller.actor),
    })
}
