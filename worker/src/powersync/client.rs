//! The service's side of a sync: opens `POST /sync/stream` and yields its lines.
//!
//! Facts about the protocol were measured on powersync-service 1.25.0.

use std::{
    error::Error as _,
    time::{Duration, SystemTime},
};

use async_compression::tokio::bufread::{GzipDecoder, ZstdDecoder};
use bytes::Bytes;
use futures::TryStreamExt;
use opentelemetry_semantic_conventions::attribute::{
    HTTP_REQUEST_METHOD, HTTP_REQUEST_RESEND_COUNT, HTTP_RESPONSE_STATUS_CODE, SERVER_ADDRESS,
    SERVER_PORT, URL_FULL,
};
use reqwest::{Response, StatusCode, header};
use seedbed_protocol::{
    settings::Secret,
    trace::{TRACEPARENT, TRACESTATE, TraceContext},
};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_util::io::StreamReader;
use tracing::{Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use url::Url;

use crate::{
    powersync::framing::LineBuffer,
    settings::{PowerSyncConfig, StreamCompression, StreamFormat},
};

const BSON: &str = "application/vnd.powersync.bson-stream";
const NDJSON: &str = "application/x-ndjson";

/// How much of an error body is read, in bytes.
const MAX_ERROR_BYTES: u64 = 16 << 10;

/// The longest pause that a service is believed to mean.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(86_400);

/// Why there is no stream, or no more of it.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// `powersync.endpoint` is not a URL of a service.
    #[error("powersync.endpoint {endpoint:?} is not an http or https URL: {reason}")]
    Endpoint {
        /// The setting.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The HTTP client could not be set up.
    #[error("cannot set up the HTTP client: {0}")]
    Client(String),
    /// No answer.
    #[error("cannot reach PowerSync at {url}: {reason}")]
    Unreachable {
        /// Where.
        url: Url,
        /// Every cause, outermost first.
        reason: String,
    },
    /// An answer that refuses the stream.
    #[error("PowerSync at {url} answered {status}{}", refusal(.code, .description, *.status))]
    Refused {
        /// Where.
        url: Url,
        /// The HTTP status.
        status: StatusCode,
        /// PowerSync's error code, such as `PSYNC_S2101`.
        code: Option<String>,
        /// PowerSync's words, or how the body begins.
        description: String,
        /// How long the service asks to wait.
        retry_after: Option<Duration>,
    },
    /// An answer that is not a stream: most likely another server.
    #[error(
        "{url} answered {status} with {content_type:?} instead of a sync stream: is powersync.endpoint right?"
    )]
    NotAStream {
        /// Where.
        url: Url,
        /// The HTTP status.
        status: StatusCode,
        /// Its Content-Type.
        content_type: String,
    },
    /// The connection broke, or the body ended within a line.
    #[error("the sync stream broke off: {0}")]
    Dropped(String),
    /// Nothing came for too long.
    #[error("the sync stream sent nothing for {}", humantime::format_duration(*.0))]
    Idle(Duration),
    /// A line that no service sends.
    #[error("the sync stream sent {0}")]
    Malformed(String),
    /// The service counts the token as expired.
    #[error(
        "PowerSync ended the stream because the token expired; if this happens at once, compare this machine's clock with the service's"
    )]
    TokenExpired,
}

fn refusal(code: &Option<String>, description: &str, status: StatusCode) -> String {
    let hint = match (code.as_deref(), status) {
        (Some("PSYNC_S2101"), _) => {
            "; check token.secret or token.key_file and token.kid against the service's client_auth"
        }
        (Some("PSYNC_S2103" | "PSYNC_S2104"), _) => {
            "; compare this machine's clock with the service's"
        }
        (Some("PSYNC_S2305"), _) => {
            "; the store's claims select more buckets than the service allows"
        }
        (None, StatusCode::NOT_FOUND) => "; is powersync.endpoint right?",
        _ => "",
    };
    match code {
        Some(code) => format!(" {code}: {description}{hint}"),
        None => format!(": {description}{hint}"),
    }
}

impl StreamError {
    /// Whether opening the stream again could help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Dropped(_)
            | Self::Idle(_)
            | Self::Malformed(_)
            | Self::TokenExpired => true,
            Self::Endpoint { .. } | Self::Client(_) | Self::NotAStream { .. } => false,
            // "Too many buckets or parameter results" has arrived with status 500: the code decides.
            Self::Refused {
                code: Some(code), ..
            } if code == "PSYNC_S2305" => false,
            Self::Refused { status, .. } => {
                status.is_server_error()
                    || matches!(
                        *status,
                        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
                    )
            }
        }
    }

    /// What it is, in one word of few, for `error.type`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Endpoint { .. } | Self::Client(_) => "powersync_config",
            Self::Unreachable { .. } => "powersync_unreachable",
            Self::Refused { .. } => "powersync_refused",
            Self::NotAStream { .. } => "not_a_stream",
            Self::Dropped(_) => "stream_dropped",
            Self::Idle(_) => "stream_idle",
            Self::Malformed(_) => "stream_malformed",
            Self::TokenExpired => "token_expired",
        }
    }

    /// Whether the service has as many streams as it can bear; whoever asks later gets one.
    pub fn is_overload(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if *status == StatusCode::TOO_MANY_REQUESTS)
    }

    /// How long the service asked to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// A connection pool to one PowerSync service.
#[derive(Debug, Clone)]
pub struct PowerSyncClient {
    http: reqwest::Client,
    url: Url,
    accept: &'static str,
    accept_encoding: &'static str,
    idle_timeout: Duration,
}

impl PowerSyncClient {
    /// A client for the configured service; connects when it is first used.
    ///
    /// # Errors
    /// [`StreamError::Endpoint`] when the setting is not a URL.
    pub fn new(config: &PowerSyncConfig) -> Result<Self, StreamError> {
        let http = reqwest::Client::builder()
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
            idle_timeout: config.idle_timeout,
        })
    }

    /// A span for one stream, from the request to its last line. `resends` is how many the job has had before.
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

    /// Opens a stream with `request`, the JSON body that the core extension asks for. The service is told of the
    /// trace that this happens in.
    ///
    /// # Errors
    /// [`StreamError`] when the service does not answer with a stream.
    pub async fn open(&self, request: String, token: &Secret) -> Result<Lines, StreamError> {
        let trace = TraceContext::of(&Span::current());
        let traces = [
            (TRACEPARENT, trace.traceparent),
            (TRACESTATE, trace.tracestate),
        ];
        let mut post = self.http.post(self.url.clone());
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
        let response = answer
            .map_err(|_| StreamError::Idle(self.idle_timeout))?
            .map_err(|e| StreamError::Unreachable {
                url: self.url.clone(),
                reason: causes(&e),
            })?;
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
        Ok(Lines::new(format, response, self.idle_timeout))
    }

    async fn refused(&self, response: Response) -> StreamError {
        let status = response.status();
        let retry_after = retry_after(&header_text(&response, header::RETRY_AFTER));
        let mut body = Vec::new();
        let mut reader = body_reader(response).take(MAX_ERROR_BYTES);
        // Whatever of it comes in time will do: the status alone says most.
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

/// The endpoint's `/sync/stream`.
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
    url.path_segments_mut()
        .map_err(|()| bad("it has no path".to_owned()))?
        .pop_if_empty()
        .extend(["sync", "stream"]);
    Ok(url)
}

/// PowerSync's `{"error":{"code":…,"description":…}}`, or the beginning of whatever else came.
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

fn header_text(response: &Response, name: header::HeaderName) -> String {
    let value = response
        .headers()
        .get(name)
        .map(header::HeaderValue::as_bytes);
    String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
}

/// `Retry-After` in either of its forms: seconds, or an HTTP date.
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

/// The whole chain of causes: reqwest's own message stops before the interesting part.
fn causes(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&error.to_string());
        cause = error.source();
    }
    if text.is_empty() {
        error.to_string()
    } else {
        text
    }
}

/// How lines are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineFormat {
    /// Documents that begin with their length.
    Bson,
    /// Text that ends with a newline.
    Ndjson,
}

/// One line of a stream, whole.
#[derive(Debug, Clone)]
pub struct Line {
    /// How it is written.
    pub format: LineFormat,
    /// The BSON document, or the JSON text without its newline.
    pub bytes: Bytes,
}

/// The lines of one open stream.
pub struct Lines {
    body: Box<dyn AsyncRead + Send + Unpin>,
    buffer: LineBuffer,
    idle_timeout: Duration,
}

impl Lines {
    fn new(format: LineFormat, response: Response, idle_timeout: Duration) -> Self {
        Self {
            body: body_reader(response),
            buffer: LineBuffer::new(format),
            idle_timeout,
        }
    }

    /// The next line; `None` when the body ended after a whole one.
    ///
    /// # Errors
    /// [`StreamError::Dropped`], [`StreamError::Idle`] or [`StreamError::Malformed`]; the stream is over then.
    pub async fn next(&mut self) -> Result<Option<Line>, StreamError> {
        loop {
            if let Some(line) = self.buffer.take()? {
                return Ok(Some(line));
            }
            let read = self.body.read_buf(self.buffer.room());
            let read = tokio::time::timeout(self.idle_timeout, read).await;
            let read = read.map_err(|_| StreamError::Idle(self.idle_timeout))?;
            match read.map_err(|e| StreamError::Dropped(e.to_string()))? {
                0 if self.buffer.is_empty() => return Ok(None),
                0 => {
                    return Err(StreamError::Dropped(
                        "the body ended in the middle of a line".to_owned(),
                    ));
                }
                _ => {}
            }
        }
    }
}

/// The body of an answer, decompressed.
fn body_reader(response: Response) -> Box<dyn AsyncRead + Send + Unpin> {
    let encoding = header_text(&response, header::CONTENT_ENCODING);
    let chunks = response
        .bytes_stream()
        .map_err(|e| std::io::Error::other(causes(&e)));
    let raw = StreamReader::new(chunks);
    match encoding.trim() {
        "zstd" => {
            let mut decoder = ZstdDecoder::new(raw);
            decoder.multiple_members(true);
            Box::new(decoder)
        }
        "gzip" => {
            let mut decoder = GzipDecoder::new(raw);
            decoder.multiple_members(true);
            Box::new(decoder)
        }
        _ => Box::new(raw),
    }
}
