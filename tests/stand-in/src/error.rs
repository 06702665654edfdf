//! The service's JSON error bodies, as recorded or documented.

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// An error answer of the service. Field order follows the recorded bodies byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ErrorReply {
    status: u16,
    code: &'static str,
    description: String,
    name: &'static str,
}

impl ErrorReply {
    /// A 401 of the authorization family (`PSYNC_S21xx`).
    pub(crate) fn unauthorized(code: &'static str, description: impl Into<String>) -> Self {
        Self {
            status: 401,
            code,
            description: description.into(),
            name: "AuthorizationError",
        }
    }

    /// An error of the service itself, with the HTTP status it happened to come with.
    pub(crate) fn service(status: u16, code: &'static str, description: impl Into<String>) -> Self {
        Self {
            status,
            code,
            description: description.into(),
            name: "ServiceError",
        }
    }

    /// `PSYNC_S2302`: the first replication of a sync config has not finished.
    pub(crate) fn no_sync_config() -> Self {
        Self::service(500, "PSYNC_S2302", "No sync config available")
    }

    /// `PSYNC_S2304`: one stream more than the service takes.
    pub(crate) fn too_many_streams() -> Self {
        let description = "Maximum active concurrent connections limit has been reached";
        Self::service(429, "PSYNC_S2304", description)
    }

    /// `PSYNC_S2305`: the request selects more buckets than the service allows.
    pub(crate) fn too_many_buckets(status: u16, count: usize, limit: usize) -> Self {
        Self::service(
            status,
            "PSYNC_S2305",
            format!("Too many buckets: {count} (limit of {limit})"),
        )
    }

    /// A body that is JSON but not a stream request.
    pub(crate) fn invalid_request(description: impl Into<String>) -> Self {
        let description = description.into();
        Self {
            status: 400,
            code: "PSYNC_S2001",
            description,
            name: "ValidationError",
        }
    }
}

impl IntoResponse for ErrorReply {
    fn into_response(self) -> Response {
        let body = json!({"error": {
            "code": self.code,
            "status": self.status,
            "description": self.description,
            "name": self.name,
        }});
        json_response(self.status, &body)
    }
}

/// What the service's HTTP framework says to a body that is not JSON; its fields come in another order.
pub(crate) fn body_is_not_json() -> Response {
    let body = json!({"error": {
        "name": "FastifyError",
        "code": "FST_ERR_CTP_INVALID_JSON_BODY",
        "status": 400,
        "description": "Body is not valid JSON but content-type is set to 'application/json'",
    }});
    json_response(400, &body)
}

/// A complete JSON answer with the service's content type.
pub(crate) fn json_response(status: u16, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let content_type = header::HeaderValue::from_static("application/json; charset=utf-8");
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    response
}
