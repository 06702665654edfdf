//! The answer of `GET /database`: JSON, or that and the snapshot itself.

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::{Stream, StreamExt, stream};
use seedbed_protocol::{objects::StorageError, text};

use super::types::Database;

/// One line of JSON, then the bytes of the snapshot.
const WITH_CONTENT: HeaderValue = HeaderValue::from_static("application/vnd.seedbed.database");

/// Where a snapshot is, and its bytes as they are stored if they are sent along.
pub(super) fn answer(
    database: &Database,
    content: Option<impl Stream<Item = Result<Bytes, StorageError>> + Send + 'static>,
) -> Response {
    let mut json = match text::json(database) {
        Ok(json) => json,
        Err(error) => {
            tracing::error!("an answer has no JSON: {error}");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let Some(content) = content else {
        let media_type = HeaderValue::from_static("application/json");
        return ([(header::CONTENT_TYPE, media_type)], json).into_response();
    };
    json.push('\n');
    let length = HeaderValue::from(json.len() as u64 + database.bytes);
    let line = stream::iter([Ok(Bytes::from(json))]);
    let body = Body::from_stream(line.chain(content));
    let headers = [
        (header::CONTENT_TYPE, WITH_CONTENT),
        (header::CONTENT_LENGTH, length),
    ];
    (headers, body).into_response()
}
