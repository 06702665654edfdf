//! `/api/session`: who the caller is, and the end of a login's session.

use std::sync::Arc;

use axum::{
    Extension,
    extract::State,
    http::{StatusCode, header},
    response::{AppendHeaders, IntoResponse},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    catalog::Role,
    http::{
        api::{
            extract::{Asked, Nothing},
            state::Api,
        },
        auth::{Caller, SESSION_COOKIE, ended},
        json::Json,
        problem::{Problem, ProblemBody},
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
    /// Of a login's session: what `X-Seedbed-Csrf` has to be in whatever changes something.
    csrf: Option<String>,
    /// Whether people sign in at `/login`.
    login: bool,
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
        (status = 400, description = "The request is malformed", body = ProblemBody),
        (status = 401, description = "The token is wrong, expired or revoked", body = ProblemBody),
        (status = 403, description = "The API is disabled, or the request comes from another site", body = ProblemBody),
        RateLimited,
        Failures,
    ),
)]
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    _: Asked<Nothing>,
    caller: Option<Extension<Caller>>,
) -> Json<Session> {
    let caller = caller.map(|Extension(caller)| caller);
    let csrf = caller.as_ref().and_then(|caller| caller.session());
    Json(Session {
        role: caller.as_ref().map(|caller| caller.role),
        csrf: csrf.map(|(_, csrf)| csrf.to_owned()),
        actor: caller.map(|caller| caller.actor),
        login: api.has_login,
    })
}

/// Sign out
///
/// Ends the session of a login, on all servers. A token stays what it is.
#[utoipa::path(
    post,
    path = "/api/session/end",
    tag = "access",
    responses(
        (status = 204, description = "There is no session any more"),
        (status = 401, description = "The token is wrong, expired or revoked", body = ProblemBody),
        (status = 403, description = "X-Seedbed-Csrf is missing or wrong, or the API is disabled", body = ProblemBody),
        RateLimited,
        Failures,
    ),
)]
pub(super) async fn end(
    State(api): State<Arc<Api>>,
    caller: Option<Extension<Caller>>,
) -> Result<impl IntoResponse, Problem> {
    let caller = caller.map(|Extension(caller)| caller);
    if let Some((id, _)) = caller.as_ref().and_then(Caller::session) {
        api.catalog.end_session(id).await?;
    }
    let removed = AppendHeaders([(header::SET_COOKIE, ended(SESSION_COOKIE))]);
    Ok((StatusCode::NO_CONTENT, removed))
}
