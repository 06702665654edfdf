//! Passes requests on to an object store that is a program of its own.

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::Request,
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};

/// The largest body, in bytes, that goes through.
const MAX_BODY: usize = 1 << 28;

/// A server that requests are passed on to.
#[derive(Clone)]
pub(super) struct Upstream {
    pub(super) client: reqwest::Client,
    /// Its URL, without a `/` at its end.
    pub(super) url: String,
}

impl Upstream {
    pub(super) fn new(port: u16) -> Self {
        Self {
            client: reqwest::Client::new(),
            url: format!("http://127.0.0.1:{port}"),
        }
    }

    /// Passes the request on as it is, with the host that was asked, which is signed, and the answer back.
    pub(super) async fn forward(&self, parts: Parts, body: Bytes) -> Response {
        let mut headers = parts.headers;
        headers.remove(header::CONTENT_LENGTH);
        headers.remove(header::TRANSFER_ENCODING);
        let address = format!("{}{}", self.url, parts.uri);
        let request = self.client.request(parts.method, address);
        answer(request.headers(headers).body(body).send().await).await
    }
}

/// The request with its whole body.
pub(super) async fn read(request: Request) -> Result<(Parts, Bytes), StatusCode> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, MAX_BODY).await;
    Ok((parts, body.map_err(|_| StatusCode::BAD_REQUEST)?))
}

/// The server's answer, for the client.
pub(super) async fn answer(answer: reqwest::Result<reqwest::Response>) -> Response {
    let Ok(answer) = answer else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let (status, mut headers) = (answer.status(), HeaderMap::clone(answer.headers()));
    headers.remove(header::CONNECTION);
    headers.remove(header::TRANSFER_ENCODING);
    let Ok(body) = answer.bytes().await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    (status, headers, Body::from(body)).into_response()
}
