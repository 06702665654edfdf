//! Refusals and failures, as every endpoint answers them.

use std::time::Duration;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use seedbed_protocol::broker::BrokerError;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    catalog::CatalogError,
    cli::args::chain,
    runs::{control::cancel::RequeueError, list::RunError},
    source::record::StoresError,
};

/// When a caller should come back after something was away.
const AWAY: Duration = Duration::from_secs(5);

/// Why a request was not answered with what it asked for.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    body: ProblemBody,
    retry_after: Option<Duration>,
    /// Whether the caller should authenticate itself.
    challenge: bool,
}

/// The body of a refusal.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody {
    /// For programs: what is wrong, in snake_case.
    #[schema(value_type = String, examples("no_snapshot"))]
    error: &'static str,
    /// For people: what is wrong, and what to do about it.
    message: String,
}

impl Problem {
    /// A refusal: `error` is for programs, `message` for people.
    pub(crate) fn new(status: StatusCode, error: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            status,
            body: ProblemBody { error, message },
            retry_after: None,
            challenge: false,
        }
    }

    /// 400: the request makes no sense.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", message)
    }

    /// 401: who asks has not said who they are, or not in a way that can be believed.
    pub(crate) fn unauthorized(message: impl Into<String>) -> Self {
        let refused = Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message);
        Self {
            challenge: true,
            ..refused
        }
    }

    /// 404.
    pub(crate) fn not_found(error: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, error, message)
    }

    /// 503: something behind this server is away.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message).retry_after(AWAY)
    }

    /// Tells the caller when to come back.
    pub(crate) fn retry_after(self, pause: Duration) -> Self {
        Self {
            retry_after: Some(pause),
            ..self
        }
    }

    /// Something behind this server failed. The log has what it was; a caller who is nobody's friend learns
    /// nothing from it.
    pub(crate) fn behind(what: &'static str, error: &dyn std::error::Error, passes: bool) -> Self {
        tracing::error!("{what} failed: {}", chain(error));
        if passes {
            return Self::unavailable(format!("{what} is away; try again soon"));
        }
        let message = format!("{what} failed; the server's log says why");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", message)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        let headers = response.headers_mut();
        if let Some(pause) = self.retry_after {
            // At least 1, and rounded up: nobody should come too early.
            let seconds = pause.as_millis().div_ceil(1_000).max(1);
            headers.insert(
                header::RETRY_AFTER,
                HeaderValue::from(u64::try_from(seconds).unwrap_or(u64::MAX)),
            );
        }
        if self.status == StatusCode::PAYLOAD_TOO_LARGE {
            // The rest of the body is not read: nothing else can come by this connection.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if self.challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<CatalogError> for Problem {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::UnknownRun { .. } => Self::not_found("unknown_run", error.to_string()),
            CatalogError::RunEnded { .. } => {
                Self::new(StatusCode::CONFLICT, "run_ended", error.to_string())
            }
            CatalogError::FewerStores { found, before } => Self::new(
                StatusCode::CONFLICT,
                "fewer_stores",
                format!(
                    "the list has {found} stores where there were {before} before, and nothing was started: if \
                     the rest is really gone and its snapshots shall go too, set allowFewerStores"
                ),
            ),
            CatalogError::DuplicateStore { .. } => {
                Self::new(StatusCode::CONFLICT, "duplicate_store", error.to_string())
            }
            error => Self::behind("the catalog", &error, error.is_transient()),
        }
    }
}

impl From<BrokerError> for Problem {
    fn from(error: BrokerError) -> Self {
        Self::behind("the broker", &error, error.is_transient())
    }
}

impl From<RequeueError> for Problem {
    fn from(error: RequeueError) -> Self {
        match error {
            RequeueError::Catalog(error) => error.into(),
            RequeueError::Broker(error) => error.into(),
        }
    }
}

impl From<StoresError> for Problem {
    fn from(error: StoresError) -> Self {
        // What is wrong with a list may quote the source's own words, for administrators only.
        Self::new(
            StatusCode::BAD_GATEWAY,
            "source_failed",
            format!("the list of stores cannot be used: {}", chain(&error)),
        )
    }
}

impl From<RunError> for Problem {
    fn from(error: RunError) -> Self {
        match error {
            RunError::UnknownStore { .. } => Self::not_found("unknown_store", error.to_string()),
            RunError::Stores(error) => error.into(),
            RunError::Catalog(error) => error.into(),
            RunError::Broker(error) => error.into(),
            RunError::NoStores { .. } | RunError::Template { .. } | RunError::Job { .. } => {
                Self::new(StatusCode::BAD_GATEWAY, "source_failed", error.to_string())
            }
        }
    }
}
