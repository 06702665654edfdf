//! Error responses of all endpoints: a status, a code for programs, a message for people.

mod words;

use std::time::Duration;

use axum::{
    extract::rejection::{JsonRejection, PathRejection, QueryRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use seedbed_protocol::{broker::BrokerError, error::chain};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::json::Json;
use crate::{catalog::CatalogError, runs::RunError, source::SourceError};

/// When a caller should retry after a failure that passes.
const RETRY_AFTER_FAILURE: Duration = Duration::from_secs(5);

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

    /// 400: the request is malformed.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", message)
    }

    /// 401: the caller is not authenticated.
    pub(crate) fn unauthorized(message: impl Into<String>) -> Self {
        let refused = Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message);
        Self {
            challenge: true,
            ..refused
        }
    }

    /// The same, with this for programs.
    pub(crate) fn because(mut self, error: &'static str) -> Self {
        self.body.error = error;
        self
    }

    /// The same as 401, the one status after which PowerSync's SDKs ask the app for credentials, and so for the endpoint, anew.
    /// One that says when to come back stays as it is, unless something failed.
    pub(crate) fn sends_elsewhere(self) -> Self {
        match self.status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::BAD_REQUEST => self,
            _ => Self {
                status: StatusCode::UNAUTHORIZED,
                retry_after: None,
                challenge: true,
                ..self
            },
        }
    }

    /// Returns what is wrong, for programs.
    pub(crate) fn error(&self) -> &'static str {
        self.body.error
    }

    /// 404.
    pub(crate) fn not_found(error: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, error, message)
    }

    /// 503: something behind this server is unavailable.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
            .retry_after(RETRY_AFTER_FAILURE)
    }

    /// Tells the caller when to retry.
    pub(crate) fn retry_after(self, pause: Duration) -> Self {
        Self {
            retry_after: Some(pause),
            ..self
        }
    }

    /// 500 or 503: something behind this server failed. The reason is in the log only: an untrusted caller learns nothing
    /// from it.
    pub(crate) fn failed(what: &'static str, error: &dyn std::error::Error, passes: bool) -> Self {
        tracing::error!("{what} failed: {}", chain(error));
        if passes {
            return Self::unavailable(format!("{what} is unavailable; try again soon"));
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
            // At least 1, and rounded up, so that no caller retries too early.
            let seconds = pause.as_millis().div_ceil(1_000).max(1);
            headers.insert(
                header::RETRY_AFTER,
                HeaderValue::from(u64::try_from(seconds).unwrap_or(u64::MAX)),
            );
        }
        if self.status == StatusCode::PAYLOAD_TOO_LARGE {
            // The rest of the body is not read, so the connection cannot be used again.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if self.challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Reads a body that is an object.
pub(crate) fn body<T: DeserializeOwned>(object: Map<String, Value>) -> Result<T, Problem> {
    words::read(object).map_err(Problem::invalid)
}

/// 400: the body is something else than an object with what `T` has.
pub(crate) fn no_object<T: DeserializeOwned>() -> Problem {
    let fields = words::fields_of::<T>().join(", ");
    Problem::invalid(format!(
        "the body has to be a JSON object, or there is none; it may have {fields}"
    ))
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::invalid(words::query(&rejection))
    }
}

impl From<PathRejection> for Problem {
    fn from(_: PathRejection) -> Self {
        Self::invalid("the path is no text in UTF-8 where it is percent-encoded")
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        let message = words::json(&rejection);
        match rejection.status() {
            status @ StatusCode::PAYLOAD_TOO_LARGE => Self::new(status, "too_large", message),
            status @ StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::new(status, "not_json", message),
            _ => Self::invalid(message),
        }
    }
}

impl From<CatalogError> for Problem {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::UnknownStore { .. } => {
                Self::not_found("unknown_store", error.to_string())
            }
            CatalogError::Forgotten { .. } => {
                Self::new(StatusCode::CONFLICT, "forgotten", error.to_string())
            }
            CatalogError::UnknownRun { .. } => Self::not_found("unknown_run", error.to_string()),
            CatalogError::UnknownReason { .. } => {
                Self::not_found("unknown_reason", error.to_string())
            }
            CatalogError::NoQuarantine => {
                Self::new(StatusCode::CONFLICT, "no_quarantine", error.to_string())
            }
            CatalogError::RunEnded { .. } => {
                Self::new(StatusCode::CONFLICT, "run_ended", error.to_string())
            }
            CatalogError::UnknownToken { .. } => {
                Self::not_found("unknown_token", error.to_string())
            }
            CatalogError::TokenName { .. } => Self::invalid(error.to_string()),
            CatalogError::TokenExists { .. } => {
                Self::new(StatusCode::CONFLICT, "token_name", error.to_string())
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
            error => Self::failed("the catalog", &error, error.is_transient()),
        }
    }
}

impl From<BrokerError> for Problem {
    fn from(error: BrokerError) -> Self {
        Self::failed("the broker", &error, error.is_transient())
    }
}

impl From<SourceError> for Problem {
    fn from(error: SourceError) -> Self {
        // The message may quote the source, which only administrators may see.
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
            RunError::Source(error) => error.into(),
            RunError::Catalog(error) => error.into(),
            RunError::Broker(error) => error.into(),
            RunError::NoStores { .. } | RunError::Template { .. } | RunError::Job { .. } => {
                Self::new(StatusCode::BAD_GATEWAY, "source_failed", error.to_string())
            }
        }
    }
}
