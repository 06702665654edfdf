//! Why somebody is not signed in.

use axum::http::StatusCode;
use seedbed_protocol::error::chain;

use crate::{catalog::CatalogError, http::auth::keys::FetchError};

/// Why somebody is not signed in. What people see of it says nothing that a provider could have made up.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoginError {
    /// The browser has not begun this login here, or too long ago.
    #[error("this login was not begun in this browser, or more than ten minutes ago")]
    NotBegun,
    /// The provider leads back with something that is no answer.
    #[error("the provider's answer is malformed: {0}")]
    Malformed(&'static str),
    /// The provider says no, in one of the words of the protocol.
    #[error("the provider says {0}")]
    Denied(String),
    /// The answer is another provider's (RFC 9207).
    #[error("the answer is of another provider")]
    OtherIssuer,
    /// The provider does not take the code.
    #[error("the provider does not take the code: it says {0}")]
    Code(String),
    /// The ID token is not accepted.
    #[error("the provider's ID token is not accepted: {0}")]
    Token(String),
    /// The login has made a session already.
    #[error("this login is over already")]
    Over,
    /// The person may do nothing here.
    #[error("{0} has no role")]
    NoRole(String),
    /// The provider does not answer, or not as one.
    #[error("the provider cannot be used: {0}")]
    Provider(String),
    /// The catalog fails.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

impl LoginError {
    /// A broken answer to `what`.
    pub(super) fn broken(what: &str, error: FetchError) -> Self {
        Self::Provider(format!("{what}: {error}"))
    }

    /// For programs, and the log.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::NotBegun => "login_state",
            Self::Malformed(_) => "login_malformed",
            Self::Denied(_) => "login_denied",
            Self::OtherIssuer => "login_issuer",
            Self::Code(_) => "login_code",
            Self::Token(_) => "login_token",
            Self::Over => "login_over",
            Self::NoRole(_) => "no_role",
            Self::Provider(_) => "login_provider",
            Self::Catalog(_) => "failed",
        }
    }

    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::NotBegun | Self::Malformed(_) | Self::OtherIssuer | Self::Over => {
                StatusCode::BAD_REQUEST
            }
            Self::Denied(_) | Self::Code(_) | Self::Token(_) | Self::NoRole(_) => {
                StatusCode::FORBIDDEN
            }
            Self::Provider(_) => StatusCode::BAD_GATEWAY,
            Self::Catalog(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Writes it to the log.
    pub(super) fn log(&self) {
        match self {
            Self::Provider(_) | Self::Catalog(_) => {
                tracing::error!("a login failed: {}", chain(self))
            }
            _ => tracing::warn!("a login was refused: {self}"),
        }
    }
}
