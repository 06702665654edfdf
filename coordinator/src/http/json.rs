//! JSON answers, whose texts hold nothing that could change the terminal of who prints them.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use seedbed_protocol::text;
use serde::Serialize;

/// An answer in JSON.
pub(super) struct Json<T>(pub(super) T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match text::json(&self.0) {
            Ok(json) => {
                let media_type = HeaderValue::from_static("application/json");
                ([(header::CONTENT_TYPE, media_type)], json).into_response()
            }
            Err(error) => {
                tracing::error!("an answer has no JSON: {error}");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}
