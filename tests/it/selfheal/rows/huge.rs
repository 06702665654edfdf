//! A PowerSync service whose rows are made as they are sent, so that only the worker has to hold them.

use std::{convert::Infallible, net::Ipv4Addr, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use testkit::pipeline::Access;
use tokio::{net::TcpListener, task::JoinHandle};

/// How many bytes go out at a time.
const CHUNK: usize = 64 << 10;

/// What the service sends to every store.
pub(super) struct Rows {
    /// How many there are.
    pub(super) count: usize,
    /// The bytes of each one's text.
    pub(super) bytes: usize,
    /// A character of that text, which JSON may have to escape.
    pub(super) filler: char,
}

/// Served until this is dropped.
pub(super) struct Service {
    pub(super) access: Access,
    server: JoinHandle<()>,
}

impl Drop for Service {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Service {
    pub(super) async fn start(rows: Rows) -> Self {
        let app = Router::new()
            .route("/sync/stream", post(answer))
            .with_state(Arc::new(rows));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { drop(axum::serve(listener, app).await) });
        let access = json!({ "endpoint": endpoint, "secret": "c2VjcmV0LW9mLTMyLWJ5dGVzLWZvci10aGUtdGVzdHM", "kid": "k" });
        Self {
            access: serde_json::from_value(access).unwrap(),
            server,
        }
    }
}

async fn answer(State(rows): State<Arc<Rows>>, headers: HeaderMap) -> Response {
    let accept = headers[header::ACCEPT].to_str().unwrap();
    let is_bson = accept.contains("bson-stream");
    let count = rows.count;
    let bucket = json!({ "bucket": "1#b[]", "checksum": count, "count": count, "priority": 3 });
    let first = json!({ "checkpoint": { "last_op_id": count.to_string(), "buckets": [bucket] } });
    let last = json!({ "checkpoint_complete": { "last_op_id": count.to_string() } });
    let line = move |value: Value| vec![plain(&value, is_bson)];
    let (begin, end) = (line(first), line(last));
    let data = (1..=count).flat_map(move |op| data_line(&rows, op, is_bson));
    let chunks = begin.into_iter().chain(data).chain(end);
    let chunks = stream::iter(chunks).map(Ok::<_, Infallible>);
    let kind = if is_bson {
        "application/vnd.powersync.bson-stream"
    } else {
        "application/x-ndjson"
    };
    ([(header::CONTENT_TYPE, kind)], Body::from_stream(chunks)).into_response()
}

fn plain(value: &Value, is_bson: bool) -> Bytes {
    if is_bson {
        bson::serialize_to_vec(value).unwrap().into()
    } else {
        format!("{value}\n").into()
    }
}

/// The line of one operation, in pieces: what stands around the row's text is written with a mark in its place.
fn data_line(rows: &Rows, op: usize, is_bson: bool) -> impl Iterator<Item = Bytes> + use<> {
    const MARK: &str = "MARK";
    let id = format!("row-{op:06}");
    let data = json!({ "id": id, "text": MARK }).to_string();
    let operation = json!({ "op_id": op.to_string(), "op": "PUT", "object_type": "products", "object_id": id,
        "checksum": 1, "subkey": "s", "data": data });
    let line = json!({ "data": { "bucket": "1#b[]", "after": "0", "has_more": true, "data": [operation], "next_after": op.to_string() } });
    let mut bytes = plain(&line, is_bson).to_vec();
    let text = if is_bson {
        rows.filler.to_string()
    } else {
        // It is a text within a text.
        let once = Value::from(rows.filler.to_string()).to_string();
        once.trim_matches('"').to_owned()
    };
    let repeated = rows.bytes / text.len();
    let grown = repeated * text.len() - MARK.len();
    if is_bson {
        grow_lengths(&mut bytes, &data, grown);
    }
    let at = bytes
        .windows(MARK.len())
        .position(|part| part == MARK.as_bytes())
        .unwrap();
    let (before, after) = (bytes[..at].to_vec(), bytes[at + MARK.len()..].to_vec());
    let per_chunk = CHUNK / text.len();
    let chunk = Bytes::from(text.repeat(per_chunk));
    let whole = stream_of(chunk.clone(), repeated / per_chunk);
    let rest = chunk.slice(..(repeated % per_chunk) * text.len());
    [Bytes::from(before)]
        .into_iter()
        .chain(whole)
        .chain([rest, Bytes::from(after)])
}

fn stream_of(chunk: Bytes, times: usize) -> impl Iterator<Item = Bytes> {
    std::iter::repeat_n(chunk, times)
}

/// Adds to the lengths of everything that a row's text is in: the document, `data`, its array, the operation, the text.
fn grow_lengths(bytes: &mut [u8], data: &str, grown: usize) {
    let find = |bytes: &[u8], part: &[u8]| bytes.windows(part.len()).position(|p| p == part);
    let row = find(bytes, data.as_bytes()).unwrap();
    // Each begins with its length: right behind the zero byte of its name.
    let outer = find(bytes, b"\x03data\0").unwrap() + 6;
    let array = find(bytes, b"\x04data\0").unwrap() + 6;
    let operation = array + 4 + 3;
    for at in [0, outer, array, operation, row - 4] {
        let length = i32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let length = length + i32::try_from(grown).unwrap();
        bytes[at..at + 4].copy_from_slice(&length.to_le_bytes());
    }
}
