//! `/api/tokens`: makes and revokes tokens of the API.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension,
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    catalog::{ApiToken, NewToken, Role},
    http::{
        api::{
            extract::{Asked, Body, Nothing},
            state::Api,
        },
        auth::Caller,
        json::Json,
        problem::{Problem, ProblemBody},
        responses::{Failures, NotAdmin, RateLimited},
    },
};

/// How long a token is good, unless the request says so.
const LIFETIME: Duration = Duration::from_secs(90 * 86_400);

/// Tokens of the API.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Tokens {
    /// The newest first, also those that are no longer good.
    tokens: Vec<ApiToken>,
}

/// List tokens
///
/// Those that the caller has made; for administrators, all of them. None says what the token itself is.
#[utoipa::path(
    get,
    path = "/api/tokens",
    tag = "access",
    security(("admin" = [])),
    responses((status = 200, body = Tokens), (status = 400, description = "The request is malformed", body = ProblemBody), NotAdmin, RateLimited, Failures),
)]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    _: Asked<Nothing>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Tokens>, Problem> {
    let tokens = api.catalog.tokens(maker(&caller)).await?;
    Ok(Json(Tokens { tokens }))
}

/// A token to be made.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct TokenAsked {
    /// What the audit log calls its bearer.
    #[schema(min_length = 1, max_length = 64)]
    name: String,
    /// What its bearer may do: no more than the caller.
    #[schema(value_type = Option<Role>)]
    role: Option<Role>,
    /// How long it is good, such as 90d, or never for without an end. 90d by default. One that is made with another token ends with
    /// that one.
    #[schema(examples("90d"))]
    expires: Option<String>,
}

/// A token that was made.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokenMade {
    /// The token itself, for `Authorization: Bearer …`. It is not shown again.
    token: String,
    #[serde(flatten)]
    about: ApiToken,
}

/// Make a token
///
/// Its role is at most the caller's. It is revoked together with the token that it was made with.
#[utoipa::path(
    post,
    path = "/api/tokens",
    tag = "access",
    request_body = TokenAsked,
    security(("admin" = [])),
    responses(
        (status = 201, description = "The token, which is not shown again", body = TokenMade),
        (status = 400, description = "The request is malformed", body = ProblemBody),
        NotAdmin,
        (status = 409, description = "There is a token of that name", body = ProblemBody),
        (status = 413, description = "The body is too large", body = ProblemBody),
        (status = 415, description = "The body is not JSON", body = ProblemBody),
        RateLimited,
        Failures,
    ),
)]
pub(super) async fn create(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Body(asked): Body<TokenAsked>,
) -> Result<(StatusCode, Json<TokenMade>), Problem> {
    let role = asked.role.unwrap_or(Role::Viewer);
    caller.must_be(role)?;
    let new = NewToken {
        name: asked.name,
        role,
        made_with: caller.token_id().map(str::to_owned),
        made_by: caller.actor,
        lifetime: lifetime(asked.expires.as_deref())?,
    };
    let (about, token) = api.catalog.create_token(&new).await?;
    let token = token.expose().to_owned();
    Ok((StatusCode::CREATED, Json(TokenMade { token, about })))
}

/// What was revoked.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokensRevoked {
    /// Tokens: that one, and those that were made with it.
    revoked: u64,
}

/// Revoke a token
///
/// By its id or its name. All servers refuse it from now on, and so they do what was made with it.
#[utoipa::path(
    post,
    path = "/api/tokens/{id}/revoke",
    tag = "access",
    params(("id" = String, Path, max_length = 64, min_length = 1)),
    security(("admin" = [])),
    responses(
        (status = 200, body = TokensRevoked),
        (status = 400, description = "The id is malformed", body = ProblemBody),
        NotAdmin,
        (status = 404, description = "There is no such token that the caller may revoke", body = ProblemBody),
        RateLimited,
        Failures,
    ),
)]
pub(super) async fn revoke(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    path: Result<Path<String>, axum::extract::rejection::PathRejection>,
) -> Result<Json<TokensRevoked>, Problem> {
    let Path(id) = path?;
    let revoked = api.catalog.revoke_token(&id, maker(&caller)).await?;
    Ok(Json(TokensRevoked { revoked }))
}

/// Whose tokens the caller sees; `None` for everybody's.
fn maker(caller: &Caller) -> Option<&str> {
    (caller.role < Role::Admin).then_some(caller.actor.as_str())
}

fn lifetime(text: Option<&str>) -> Result<Option<Duration>, Problem> {
    match text {
        None => Ok(Some(LIFETIME)),
        Some("never") => Ok(None),
        Some(text) => match humantime::parse_duration(text) {
            Ok(lifetime) if !lifetime.is_zero() => Ok(Some(lifetime)),
            _ => Err(Problem::invalid(
                "expires is neither a duration such as 90d nor never",
            )),
        },
    }
}
