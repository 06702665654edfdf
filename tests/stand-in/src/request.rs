//! What a client asks for: the JSON body of `POST /sync/stream`, and the formats it accepts.

use axum::http::{HeaderMap, header};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The media type of the BSON stream.
pub const BSON_STREAM: &str = "application/vnd.powersync.bson-stream";
/// The media type of the JSON stream, one document a line.
pub const NDJSON: &str = "application/x-ndjson";

/// The body of a stream request, as far as the service looks at it. A client may send no body at all.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct StreamRequest {
    pub(crate) buckets: Vec<BucketPosition>,
    pub(crate) raw_data: bool,
    pub(crate) streams: StreamSelection,
}

/// How far a client has got with one bucket.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct BucketPosition {
    pub(crate) name: String,
    /// The last operation it has; empty means from the start.
    #[serde(default)]
    pub(crate) after: String,
}

/// Which streams a client wants.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub(crate) struct StreamSelection {
    pub(crate) include_defaults: bool,
    pub(crate) subscriptions: Vec<Subscription>,
}

impl Default for StreamSelection {
    fn default() -> Self {
        Self {
            include_defaults: true,
            subscriptions: Vec::new(),
        }
    }
}

/// One explicit subscription.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Subscription {
    pub(crate) stream: String,
    #[serde(default)]
    pub(crate) parameters: Option<Map<String, Value>>,
    #[serde(default)]
    pub(crate) override_priority: Option<u8>,
}

/// The two encodings of the stream's lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Bson,
    Ndjson,
}

impl Format {
    /// BSON if the client accepts it and does not like NDJSON better; NDJSON for everyone else.
    pub(crate) fn negotiate(headers: &HeaderMap) -> Self {
        let bson = quality(headers, header::ACCEPT, BSON_STREAM);
        let ndjson = quality(headers, header::ACCEPT, NDJSON);
        if bson > 0.0 && bson >= ndjson {
            Self::Bson
        } else {
            Self::Ndjson
        }
    }

    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Bson => BSON_STREAM,
            Self::Ndjson => NDJSON,
        }
    }
}

/// How the body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Zstd,
    Gzip,
}

impl Compression {
    /// The service prefers zstd.
    pub(crate) fn negotiate(headers: &HeaderMap) -> Self {
        let zstd = quality(headers, header::ACCEPT_ENCODING, "zstd");
        let gzip = quality(headers, header::ACCEPT_ENCODING, "gzip");
        if zstd > 0.0 && zstd >= gzip {
            Self::Zstd
        } else if gzip > 0.0 {
            Self::Gzip
        } else {
            Self::None
        }
    }

    pub(crate) fn content_encoding(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Zstd => Some("zstd"),
            Self::Gzip => Some("gzip"),
        }
    }
}

/// The quality (`;q=`) that a header gives to one of its listed values; 0 if it is not listed.
fn quality(headers: &HeaderMap, name: header::HeaderName, value: &str) -> f32 {
    let listed = headers
        .get_all(name)
        .into_iter()
        .filter_map(|header| header.to_str().ok());
    for item in listed.flat_map(|header| header.split(',')) {
        let mut parts = item.split(';').map(str::trim);
        if parts
            .next()
            .is_some_and(|listed| listed.eq_ignore_ascii_case(value))
        {
            return parts
                .find_map(|part| part.strip_prefix("q=")?.parse().ok())
                .unwrap_or(1.0);
        }
    }
    0.0
}
