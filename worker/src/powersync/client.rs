//! The HTTP client of a PowerSync service: opens `POST /sync/stream` and returns its lines.
//!
//! Facts about the protocol were measured on powersync-service 1.25.0.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use opentelemetry_semantic_conventions::attribute::{
    HTTP_REQUEST_METHOD, HTTP_REQUEST_RESEND_COUNT, HTTP_RESPONSE_STATUS_CODE, SERVER_ADDRESS,
    SERVER_PORT, URL_FULL,
};
use reqwest::{Response, header};
use seedbed_protocol::{
    error::causes,
    process::outbound::{self, next_within_origin},
    settings::Secret,
    telemetry::trace::{TRACEPARENT, TRACESTATE, TraceContext},
};
use tokio::io::AsyncReadExt;
use tracing::{Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use url::Url;

use super::{
    error::StreamError,
    line::LineFormat,
    lines::{Lines, body_reader, header_text},
};
use crate::settings::{PowerSyncConfig, StreamCompression, StreamFormat};

const BSON: &str = "application/vnd.powersync.bson-stream";
const NDJSON: &str = "application/x-ndjson";

/// How many bytes of an error body are read.
const MAX_ERROR_BYTES: u64 = 16 << 10;

/// A longer `Retry-After` counts as this long: the service hardly means it.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(86_400);

/// A connection pool to one PowerSync service.
#[derive(Debug, Clone)]
pub struct PowerSyncClient {
    http: reqwest::Client,
    url: Url,
    accept: &'static str,
    accept_encoding: &'static str,
    max_line: usize,
    idle_timeout: Duration,
}

impl PowerSyncClient {
    /// Returns a client for the configured service; connects when it is first used.
    ///
    /// # Errors
    /// [`StreamError::Endpoint`] when the setting is not a URL.
    pub fn new(config: &PowerSyncConfig) -> Result<Self, StreamError> {
        let http = outbound::client_without_redirects()
            .connect_timeout(config.connect_timeout)
            .user_agent(concat!("seedbed/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| StreamError::Client(causes(&e)))?;
        Ok(Self {
            http,
            url: stream_url(&config.endpoint)?,
            accept: match config.format {
                StreamFormat::Auto => {
                    "application/vnd.powersync.bson-stream;q=0.9,application/x-ndjson;q=0.8"
                }
                StreamFormat::Ndjson => NDJSON,
            },
            accept_encoding: match config.compression {
                StreamCompression::Zstd => "zstd",
                StreamCompression::Gzip => "gzip",
                StreamCompression::None => "identity",
            },
            max_line: usize::from(config.max_line_mib) << 20,
            idle_timeout: config.idle_timeout,
        })
    }

    /// Starts a span for one stream, from the request to its last line. `resends` counts the job's earlier streams.
    pub(crate) fn span(&self, resends: u32) -> Span {
        let span = info_span!(
            "POST",
            otel.name = "POST /sync/stream",
            otel.kind = "client"
        );
        span.set_attribute(HTTP_REQUEST_METHOD, "POST");
        span.set_attribute(URL_FULL, self.url.to_string());
        if let Some(host) = self.url.host_str() {
            span.set_attribute(SERVER_ADDRESS, host.to_owned());
        }
        if let Some(port) = self.url.port_or_known_default() {
            span.set_attribute(SERVER_PORT, i64::from(port));
        }
        if resends > 0 {
            span.set_attribute(HTTP_REQUEST_RESEND_COUNT, i64::from(resends));
        }
        span
    }

    /// Opens a stream with `request`, the JSON body that the core extension asks for. Passes the current trace on to
    /// the service.
    ///
    /// # Errors
    /// [`StreamError`] when the service does not answer with a stream.
    pub async fn open(&self, request: String, token: &Secret) -> Result<Lines, StreamError> {
        let response = self.follow(request.into(), token).await?;
        let status = i64::from(response.status().as_u16());
        Span::current().set_attribute(HTTP_RESPONSE_STATUS_CODE, status);
        if !response.status().is_success() {
            return Err(self.refused(response).await);
        }
        let content_type = header_text(&response, header::CONTENT_TYPE);
        let format = match content_type.split(';').next().map(str::trim) {
            Some(BSON) => LineFormat::Bson,
            Some(NDJSON) => LineFormat::Ndjson,
            _ => {
                let (url, status) = (self.url.clone(), response.status());
                return Err(StreamError::NotAStream {
                    url,
                    status,
                    content_type,
                });
            }
        };
        let encoding = header_text(&response, header::CONTENT_ENCODING);
        Span::current().set_attribute("http.response.header.content-type", content_type);
        Span::current().set_attribute("http.response.header.content-encoding", encoding);
        Ok(Lines::new(
            format,
            response,
            self.max_line,
            self.idle_timeout,
        ))
    }

    /// Sends the request, again where redirects within the origin lead to: as it is, whatever their status, since there
    /// is nothing to ask of this service but a stream.
    async fn follow(&self, request: Bytes, token: &Secret) -> Result<Response, StreamError> {
        let mut url = self.url.clone();
        let mut redirects = 0;
        loop {
            let response = self.send(url.clone(), request.clone(), token).await?;
            let status = response.status();
            if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(response);
            }
            redirects += 1;
            let location = header_text(&response, header::LOCATION);
            let location = Some(location).filter(|location| !location.is_empty());
            let next = next_within_origin(&url, location.as_deref(), redirects);
            url = next.map_err(|reason| StreamError::Redirected {
                url: self.url.clone(),
                status,
                reason,
            })?;
        }
    }

    async fn send(
        &self,
        url: Url,
        request: Bytes,
        token: &Secret,
    ) -> Result<Response, StreamError> {
        let trace = TraceContext::of(&Span::current());
        let traces = [
            (TRACEPARENT, trace.traceparent),
            (TRACESTATE, trace.tracestate),
        ];
        let mut post = self.http.post(url);
        for (name, value) in traces {
            if let Some(value) = value {
                post = post.header(name, value);
            }
        }
        let sent = post
            .header(header::AUTHORIZATION, format!("Token {}", token.expose()))
            .header(header::ACCEPT, self.accept)
            .header(header::ACCEPT_ENCODING, self.accept_encoding)
            .header(header::CONTENT_TYPE, "application/json")
            .body(request)
            .send();
        let answer = tokio::time::timeout(self.idle_timeout, sent).await;
        answer
            .map_err(|_| StreamError::Idle(self.idle_timeout))?
            .map_err(|e| StreamError::Unreachable {
                url: self.url.clone(),
                reason: causes(&e),
            })
    }

    async fn refused(&self, response: Response) -> StreamError {
        let status = response.status();
        let retry_after = retry_after(&header_text(&response, header::RETRY_AFTER));
        let mut body = Vec::new();
        let mut reader = body_reader(response).take(MAX_ERROR_BYTES);
        // A part of the body is enough: the status says most.
        let _ = tokio::time::timeout(self.idle_timeout, reader.read_to_end(&mut body)).await;
        let (code, description) = error_body(&body);
        StreamError::Refused {
            url: self.url.clone(),
            status,
            code,
            description,
            retry_after,
        }
    }
}

/// Returns the URL of the endpoint's `/sync/stream`.
fn stream_url(endpoint: &str) -> Result<Url, StreamError> {
    let bad = |reason: String| StreamError::Endpoint {
        endpoint: endpoint.to_owned(),
        reason,
    };
    let mut url = Url::parse(endpoint).map_err(|e| bad(e.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad(format!("its scheme is {:?}", url.scheme())));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("it must not carry a user or a password".to_owned()));
    }
    outbound::refuse_link_local(&url).map_err(|e| bad(e.to_string()))?;
    url.path_segments_mut()
        .map_err(|()| bad("it has no path".to_owned()))?
        .pop_if_empty()
        .extend(["sync", "stream"]);
    Ok(url)
}

/// Reads PowerSync's `{"error":{"code":…,"description":…}}`, or takes the beginning of another body as description.
fn error_body(body: &[u8]) -> (Option<String>, String) {
    #[derive(serde::Deserialize)]
    struct Body {
        error: ErrorObject,
    }
    #[derive(serde::Deserialize)]
    struct ErrorObject {
        code: Option<String>,
        description: Option<String>,
    }
    match serde_json::from_slice::<Body>(body) {
        Ok(Body { error }) => (error.code, error.description.unwrap_or_default()),
        Err(_) => (
            None,
            String::from_utf8_lossy(body).chars().take(200).collect(),
        ),
    }
}

/// Reads `Retry-After` in either of its forms: seconds, or an HTTP date.
fn retry_after(value: &str) -> Option<Duration> {
    let pause = match value.trim().parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at: SystemTime = chrono::DateTime::parse_from_rfc2822(value).ok()?.into();
            at.duration_since(SystemTime::now()).unwrap_or_default()
        }
    };
    Some(pause.min(MAX_RETRY_AFTER))
}
