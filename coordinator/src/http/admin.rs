//! Who may use the API: whoever has the admin token.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::Response,
};
use sha2::{Digest, Sha256};

use super::{App, Problem, config::ServeConfig};

/// What administrators have to show.
pub(super) enum AdminAccess {
    /// Nothing.
    Open,
    /// A token with this hash, which is compared in the same time whatever is shown.
    Token([u8; 32]),
    /// There is nothing that would do.
    Disabled,
}

impl AdminAccess {
    pub(super) fn new(config: &ServeConfig) -> Self {
        match &config.admin_token {
            _ if config.open_admin => Self::Open,
            Some(token) => Self::Token(hash(token.expose())),
            None => Self::Disabled,
        }
    }

    fn check(&self, headers: &HeaderMap) -> Result<(), Problem> {
        match self {
            Self::Open if is_of_another_site(headers) => Err(Problem::new(
                StatusCode::FORBIDDEN,
                "other_site",
                "pages of other sites may not use the API",
            )),
            Self::Open => Ok(()),
            Self::Disabled => Err(Problem::new(
                StatusCode::FORBIDDEN,
                "admin_disabled",
                "nobody may use the API and the dashboard: set serve.admin_token (SEEDBED_SERVE__ADMIN_TOKEN), or on a \
                 trusted network serve.open_admin",
            )),
            Self::Token(expected) => match bearer(headers) {
                Some(token) if hash(token) == *expected => Ok(()),
                Some(_) => Err(Problem::unauthorized("this is not the admin token")),
                None => Err(Problem::unauthorized(
                    "the admin token is missing: Authorization: Bearer <serve.admin_token>",
                )),
            },
        }
    }
}

/// Whether a browser says that it asks on behalf of another site's page. Where no token is needed, nothing else would
/// tell its requests from those of the dashboard.
fn is_of_another_site(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site");
    site.is_some_and(|site| site != "same-origin" && site != "none")
}

/// Lets nobody but administrators pass.
pub(super) async fn require_admin(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    app.admin.check(request.headers())?;
    Ok(next.run(request).await)
}

/// The token of `Authorization: Bearer …`. The scheme is not case-sensitive (RFC 9110, 11.1).
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim())
        .filter(|token| !token.is_empty())
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}
