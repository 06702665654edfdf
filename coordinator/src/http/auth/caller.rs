//! Who calls, and what that one may do.

use axum::http::StatusCode;

use crate::{
    catalog::{ApiToken, Catalog, CatalogError, LoginSession, Role},
    http::problem::Problem,
};

/// Who calls the API.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// As the audit log has it.
    pub(crate) actor: String,
    pub(crate) role: Role,
    pub(super) by: By,
}

/// How somebody has come in.
#[derive(Debug, Clone)]
pub(super) enum By {
    /// By `serve.open_admin`.
    Nothing,
    /// By `serve.admin_token`.
    AdminToken,
    /// By the token of this id.
    Token(String),
    /// By the session of this id, and the token that guards it against other sites.
    Session { id: String, csrf: String },
}

impl Caller {
    pub(super) fn anyone() -> Self {
        Self {
            actor: "anyone".to_owned(),
            role: Role::Admin,
            by: By::Nothing,
        }
    }

    pub(super) fn with_admin_token() -> Self {
        Self {
            actor: "admin token".to_owned(),
            role: Role::Admin,
            by: By::AdminToken,
        }
    }

    pub(super) fn with(token: &ApiToken) -> Self {
        Self {
            actor: format!("token {}", token.name),
            role: token.role,
            by: By::Token(token.id.clone()),
        }
    }

    pub(super) fn signed_in(session: LoginSession, csrf: String) -> Self {
        Self {
            actor: session.actor(),
            role: session.role,
            by: By::Session {
                id: session.id,
                csrf,
            },
        }
    }

    /// The session of the caller's login, if any: its id, and the token that guards it against other sites.
    pub(crate) fn session(&self) -> Option<(&str, &str)> {
        match &self.by {
            By::Session { id, csrf } => Some((id, csrf)),
            _ => None,
        }
    }

    /// The token of the API that was shown, if any.
    pub(crate) fn token_id(&self) -> Option<&str> {
        match &self.by {
            By::Token(id) => Some(id),
            _ => None,
        }
    }

    /// Whether this caller would be let in now: an answer that goes on ends when a token is revoked
    /// or somebody signs out.
    pub(crate) async fn is_still_in(&self, catalog: &Catalog) -> Result<bool, CatalogError> {
        match &self.by {
            By::Nothing | By::AdminToken => Ok(true),
            By::Token(id) => catalog.is_token_good(id).await,
            By::Session { id, .. } => catalog.is_session_good(id).await,
        }
    }

    /// Refuses whoever may not do what `needed` may.
    pub(crate) fn must_be(&self, needed: Role) -> Result<(), Problem> {
        if self.role >= needed {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "wrong_role",
            format!(
                "this is for the role {needed} and above, and yours is {}",
                self.role
            ),
        ))
    }
}
