//! A client that reads the service's lines and nothing more.

use async_compression::tokio::bufread::{GzipDecoder, ZstdDecoder};
use reqwest::Response;
use reqwest::header::{ACCEPT, AUTHORIZATION};
use serde_json::{Value, json};
use testkit::powersync::{BSON_STREAM, NDJSON, PowerSync};
use tokio::io::AsyncReadExt;

/// The format a test asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Bson,
    Ndjson,
}

pub(crate) const FORMATS: [Format; 2] = [Format::Bson, Format::Ndjson];

impl Format {
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Bson => BSON_STREAM,
            Self::Ndjson => NDJSON,
        }
    }
}

/// What an SDK sends for a first sync.
pub(crate) fn first_request() -> Value {
    json!({"buckets": [], "include_checksum": true, "raw_data": true})
}

/// A request like [`first_request`] that already has the bucket up to an operation.
pub(crate) fn resuming(bucket: &str, after: u64) -> Value {
    json!({"buckets": [{"name": bucket, "after": after.to_string()}], "raw_data": true})
}

/// The bucket of a store under the default config.
pub(crate) fn bucket_of(store: &str) -> String {
    format!("1#store_products[\"{store}\"]")
}

/// Sends a request with a token for the store.
pub(crate) async fn ask(
    service: &PowerSync,
    store: &str,
    body: &Value,
    format: Format,
) -> Response {
    ask_with(
        service,
        &format!("Token {}", service.token_for(store)),
        body,
        format,
    )
    .await
}

/// Sends a request with this `Authorization`.
pub(crate) async fn ask_with(
    service: &PowerSync,
    authorization: &str,
    body: &Value,
    format: Format,
) -> Response {
    reqwest::Client::new()
        .post(format!("{}/sync/stream", service.endpoint()))
        .header(AUTHORIZATION, authorization)
        .header(ACCEPT, format.media_type())
        .json(body)
        .send()
        .await
        .expect("the service answers")
}

/// The lines of an answer as they arrive.
pub(crate) struct Lines {
    response: Response,
    format: Format,
    buffer: Vec<u8>,
}

impl Lines {
    pub(crate) fn new(response: Response, format: Format) -> Self {
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], format.media_type());
        Self {
            response,
            format,
            buffer: Vec::new(),
        }
    }

    /// Opens a stream for a store.
    pub(crate) async fn open(
        service: &PowerSync,
        store: &str,
        body: &Value,
        format: Format,
    ) -> Self {
        Self::new(ask(service, store, body, format).await, format)
    }

    /// The next line; `None` at the end of the body.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(line) = take_line(&mut self.buffer, self.format) {
                return Some(line);
            }
            match self
                .response
                .chunk()
                .await
                .expect("the body goes on or ends")
            {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None => {
                    assert!(
                        self.buffer.is_empty(),
                        "the body ends in the middle of a line"
                    );
                    return None;
                }
            }
        }
    }

    /// All lines up to and including the next `checkpoint_complete`.
    pub(crate) async fn until_complete(&mut self) -> Vec<Value> {
        let mut lines = Vec::new();
        loop {
            lines.push(
                self.next()
                    .await
                    .expect("the stream lasts until checkpoint_complete"),
            );
            if lines[lines.len() - 1].get("checkpoint_complete").is_some() {
                return lines;
            }
        }
    }
}

/// Everything a first sync of a store downloads.
pub(crate) async fn download(
    service: &PowerSync,
    store: &str,
    body: &Value,
    format: Format,
) -> Vec<Value> {
    Lines::open(service, store, body, format)
        .await
        .until_complete()
        .await
}

/// The lines of a complete body.
pub(crate) fn decode(body: &[u8], format: Format) -> Vec<Value> {
    let mut buffer = body.to_vec();
    let mut lines = Vec::new();
    while let Some(line) = take_line(&mut buffer, format) {
        lines.push(line);
    }
    assert!(buffer.is_empty(), "the body ends in the middle of a line");
    lines
}

fn take_line(buffer: &mut Vec<u8>, format: Format) -> Option<Value> {
    match format {
        Format::Ndjson => {
            let end = buffer.iter().position(|byte| *byte == b'\n')?;
            let line: Vec<u8> = buffer.drain(..=end).collect();
            Some(serde_json::from_slice(&line).expect("a line is JSON"))
        }
        Format::Bson => {
            let length = u32::from_le_bytes(buffer.get(..4)?.try_into().ok()?) as usize;
            if buffer.len() < length {
                return None;
            }
            let line: Vec<u8> = buffer.drain(..length).collect();
            let document =
                bson::Document::from_reader(line.as_slice()).expect("a line is a BSON document");
            Some(to_json(document.into()))
        }
    }
}

/// BSON as JSON. Whole numbers must be int32 where they fit and doubles only otherwise.
fn to_json(value: bson::Bson) -> Value {
    match value {
        bson::Bson::Document(document) => document
            .into_iter()
            .map(|(name, value)| (name, to_json(value)))
            .collect(),
        bson::Bson::Array(items) => items.into_iter().map(to_json).collect(),
        bson::Bson::String(text) => text.into(),
        bson::Bson::Boolean(value) => value.into(),
        bson::Bson::Int32(number) => number.into(),
        bson::Bson::Null => Value::Null,
        bson::Bson::Double(number) => {
            let integer = number as i64;
            assert!(
                integer as f64 == number && i32::try_from(integer).is_err(),
                "{number} should be an int32"
            );
            integer.into()
        }
        other => panic!("the service never sends {other:?}"),
    }
}

/// Undoes a content encoding. The body need not be complete: a stream is readable before it ends, and the recorded
/// ones were cut off after `checkpoint_complete`.
pub(crate) async fn decompress(encoding: &str, body: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let result = match encoding {
        "zstd" => ZstdDecoder::new(body).read_to_end(&mut plain).await,
        "gzip" => GzipDecoder::new(body).read_to_end(&mut plain).await,
        other => panic!("unexpected content encoding {other}"),
    };
    if let Err(error) = result {
        assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof, "{error}");
    }
    plain
}

/// The operations of all data lines, in order.
pub(crate) fn operations(lines: &[Value]) -> Vec<&Value> {
    let data = lines
        .iter()
        .filter_map(|line| line["data"]["data"].as_array());
    data.flatten().collect()
}

/// The kinds of lines, in order.
pub(crate) fn kinds(lines: &[Value]) -> Vec<&str> {
    lines
        .iter()
        .filter_map(|line| line.as_object()?.keys().next())
        .map(String::as_str)
        .collect()
}

/// Applies operations as a client does, and returns the rows that are left as `(table, id, json)`, sorted.
pub(crate) fn rows_after(operations: &[&Value]) -> Vec<(String, String, String)> {
    let mut rows = std::collections::BTreeMap::new();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for operation in operations {
        let key = (
            text(&operation["object_type"]),
            text(&operation["object_id"]),
        );
        match operation["op"].as_str() {
            Some("PUT") => drop(rows.insert(key, text(&operation["data"]))),
            Some("REMOVE") => drop(rows.remove(&key)),
            Some("CLEAR") => rows.clear(),
            _ => {}
        }
    }
    rows.into_iter()
        .map(|((table, id), json)| (table, id, json))
        .collect()
}

/// The rows that the service says a client of the store should have, like [`rows_after`].
pub(crate) fn expected_rows(service: &PowerSync, store: &str) -> Vec<(String, String, String)> {
    let mut rows: Vec<_> = service
        .rows(store)
        .map(|row| (row.table.to_string(), row.id, row.json))
        .collect();
    rows.sort();
    rows
}

/// Asserts that every bucket's operations add up to the checksum in the checkpoint, modulo 2^32.
pub(crate) fn assert_checksums_add_up(lines: &[Value]) {
    let checkpoint = &lines[0]["checkpoint"];
    for bucket in checkpoint["buckets"]
        .as_array()
        .expect("a checkpoint line has buckets")
    {
        let data = lines
            .iter()
            .filter(|line| line["data"]["bucket"] == bucket["bucket"])
            .cloned()
            .collect::<Vec<_>>();
        let sum = operations(&data).iter().fold(0_u32, |sum, operation| {
            sum.wrapping_add(checksum(operation))
        });
        assert_eq!(checksum(bucket), sum, "checksum of {}", bucket["bucket"]);
    }
}

/// The checksum of a bucket or operation modulo 2^32.
pub(crate) fn checksum(value: &Value) -> u32 {
    value["checksum"].as_i64().expect("a checksum") as u32
}
