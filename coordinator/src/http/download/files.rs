//! `GET /snapshots/…`: the files of snapshots in a directory, for signed URLs only.

use std::{path::Path, sync::Arc};

use axum::{
    body::Body,
    extract::{
        self, Query, Request, State,
        rejection::{PathRejection, QueryRejection},
    },
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use seedbed_protocol::snapshots::{SnapshotName, SnapshotPart};
use tower_http::services::ServeFile;

use super::{signed_url::Signature, state::Downloads};
use crate::http::{
    problem::{Problem, ProblemBody},
    responses::{Failures, RateLimited},
};

/// Objects never change, so a client may cache them for ever. A shared cache may not: the URL is for one client.
const CACHED: HeaderValue = HeaderValue::from_static("private, max-age=31536000, immutable");

/// Download a snapshot file
///
/// Use the URL that GET /database returns. Only for snapshots in a directory.
#[utoipa::path(
    get,
    path = "/snapshots/{key}",
    tag = "download",
    params(
        ("key" = String, Path, description = "The object's key; it has slashes"),
        ("expires" = i64, Query, description = "Unix seconds"),
        ("signature" = String, Query, description = "HMAC of key and expires"),
    ),
    responses(
        (status = 200, description = "The file", content_type = "application/vnd.sqlite3", body = Vec<u8>),
        (status = 206, description = "The part that Range asks for", content_type = "application/vnd.sqlite3", body = Vec<u8>),
        (status = 304, description = "The client has the file already (If-None-Match)"),
        (status = 400, description = "The path is not valid text", body = ProblemBody),
        (status = 403, description = "The URL was not signed by this server, or has expired", body = ProblemBody),
        (status = 404, description = "The file is gone, or snapshots are not served from here", body = ProblemBody),
        (status = 412, description = "It is not the file that If-Match names", body = ProblemBody),
        (status = 416, description = "Range is beyond the end", body = ProblemBody),
        RateLimited,
        Failures,
    ),
)]
pub(crate) async fn file(
    State(downloads): State<Arc<Downloads>>,
    key: Result<extract::Path<String>, PathRejection>,
    signature: Result<Query<Signature>, QueryRejection>,
    mut request: Request,
) -> Result<Response, Problem> {
    let unsigned = |_| {
        Problem::new(
            StatusCode::FORBIDDEN,
            "bad_signature",
            "this URL is not signed; ask GET /database for one",
        )
    };
    let extract::Path(key) = key?;
    let Query(signature) = signature.map_err(unsigned)?;
    let path = downloads.file(&key, &signature).await?;
    let file = Object::new(&key).ok_or_else(gone)?;
    if file.is_known_to(request.headers()) {
        return Ok((StatusCode::NOT_MODIFIED, file.headers()).into_response());
    }
    if file.is_not_what_is_meant(request.headers()) {
        return Err(changed());
    }
    file.drop_range_of_another(request.headers_mut());
    drop_what_is_no_range(request.headers_mut());
    let mut response = serve(&path, file.media_type, request).await;
    match response.status() {
        StatusCode::NOT_FOUND => return Err(gone()),
        StatusCode::RANGE_NOT_SATISFIABLE => return Ok(beyond_end(response)),
        _ => {}
    }
    response.headers_mut().extend(file.headers());
    Ok(response)
}

fn changed() -> Problem {
    Problem::new(
        StatusCode::PRECONDITION_FAILED,
        "changed",
        "this is another file than the one that If-Match names",
    )
}

/// Removes a Range that is to be ignored: of another unit, of several parts, or none at all (RFC 9110, 14.2).
fn drop_what_is_no_range(headers: &mut HeaderMap) {
    if !headers.get(header::RANGE).is_none_or(is_range) {
        headers.remove(header::RANGE);
    }
}

fn is_range(value: &HeaderValue) -> bool {
    let range = value.to_str().ok();
    let range = range.and_then(|range| range.strip_prefix("bytes="));
    let number = |text: &str| text.parse::<u64>().ok();
    match range.and_then(|range| range.trim().split_once('-')) {
        None | Some(("", "")) => false,
        Some(("", end) | (end, "")) => number(end).is_some(),
        Some((first, last)) => {
            number(first).is_some_and(|first| number(last).is_some_and(|last| first <= last))
        }
    }
}

fn gone() -> Problem {
    Problem::not_found(
        "gone",
        "this snapshot is no longer there; ask for a new URL",
    )
}

/// Says why, and in Content-Range where the end is.
fn beyond_end(response: Response) -> Response {
    let message = "the file has no such bytes; ask for others, or for all of it";
    let mut refused = Problem::new(response.status(), "range_beyond_end", message).into_response();
    let range = response.headers().get(header::CONTENT_RANGE).cloned();
    refused
        .headers_mut()
        .extend(range.map(|range| (header::CONTENT_RANGE, range)));
    refused
}

/// Answers with the file or the part of it that the request asks for.
async fn serve(path: &Path, media_type: &str, request: Request) -> Response {
    let media_type = media_type.parse().expect("it is a media type");
    match ServeFile::new_with_mime(path, &media_type)
        .try_call(request)
        .await
    {
        Ok(response) => response.map(Body::new),
        Err(error) => Problem::failed("the object storage", &error, false).into_response(),
    }
}

/// The ETags that a header lists.
fn tags(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter();
    let values = values.filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// A file, as HTTP's headers describe it.
struct Object {
    etag: HeaderValue,
    media_type: &'static str,
    encoding: Option<HeaderValue>,
}

impl Object {
    /// The object `key`, if that is a file of a snapshot. Its name is never used again, so it serves as ETag.
    fn new(key: &str) -> Option<Self> {
        let kind = match SnapshotName::of_key(key)?.1 {
            SnapshotPart::Rendition(kind) => kind,
            SnapshotPart::Manifest => return None,
        };
        let (_, name) = key.rsplit_once('/')?;
        let (media_type, encoding) = kind.described();
        Some(Self {
            etag: HeaderValue::from_str(&format!("\"{name}\"")).ok()?,
            media_type,
            encoding: encoding
                .is_compressed()
                .then(|| HeaderValue::from_static(encoding.name())),
        })
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::ETAG, self.etag.clone());
        headers.insert(header::CACHE_CONTROL, CACHED);
        headers.extend(
            self.encoding
                .iter()
                .map(|encoding| (header::CONTENT_ENCODING, encoding.clone())),
        );
        headers
    }

    /// Whether the client already has it (If-None-Match).
    fn is_known_to(&self, headers: &HeaderMap) -> bool {
        tags(headers, header::IF_NONE_MATCH)
            .map(|tag| tag.trim_start_matches("W/"))
            .any(|tag| self.is_named(tag))
    }

    /// Whether the client means another file than this one (If-Match).
    fn is_not_what_is_meant(&self, headers: &HeaderMap) -> bool {
        headers.contains_key(header::IF_MATCH)
            && !tags(headers, header::IF_MATCH).any(|tag| self.is_named(tag))
    }

    fn is_named(&self, tag: &str) -> bool {
        tag == "*" || self.etag == tag
    }

    /// A client that has the beginning of another file needs all of this one (If-Range).
    fn drop_range_of_another(&self, headers: &mut HeaderMap) {
        if headers
            .get(header::IF_RANGE)
            .is_some_and(|of| *of != self.etag)
        {
            headers.remove(header::RANGE);
        }
    }
}
