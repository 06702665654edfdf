//! A server with snapshots as streams, and a device that asks as an SDK does.

use std::collections::BTreeMap;

use reqwest::{Method, Response};
use serde_json::{Value, json};
use testkit::{
    powersync::PowerSync,
    program::Program,
    serving::{Answer, LOCAL_SERVE, Serving, client_token, prepared},
    wait,
};

/// What `@powersync/node` 1.1.0 accepts.
pub(super) const SDK: &str =
    "application/vnd.powersync.bson-stream;q=0.9,application/x-ndjson;q=0.8";

/// A server whose stores `1` and `2` have so many rows each, and streams.
pub(super) async fn streaming(
    rows: u32,
    set: impl FnOnce(&mut Program),
) -> (PowerSync, Program, Serving) {
    let (service, mut program) = prepared(&["1", "2"], rows).await;
    program.set(
        "SNAPSHOTS__RENDITIONS",
        "file/identity,stream/gzip,stream-bson/gzip",
    );
    program.set("SERVE__RATE_LIMIT", "0");
    program.set("DOWNLOAD__START_MAX_AGE", "50ms");
    set(&mut program);
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
    for store in ["1", "2"] {
        start_until(&serving, store, "", |start| start["from"] == "seedbed").await;
    }
    (service, program, serving)
}

/// Asks `GET /start` for a store until the answer is liked.
pub(super) async fn start_until(
    serving: &Serving,
    store: &str,
    query: &str,
    liked: impl Fn(&Value) -> bool,
) -> Value {
    wait::for_some("the answer of /start is liked", async || {
        let token = client_token(json!({ "store_id": store }));
        let path = format!("/start?store_id={store}{query}");
        let start = serving.get(&path, Some(&token)).await.json();
        liked(&start).then_some(start)
    })
    .await
}

/// The token of a device of its own.
pub(super) fn token_of(store: &str, device: usize) -> String {
    client_token(json!({ "store_id": store, "sub": device.to_string() }))
}

/// `POST /sync/stream`, as an SDK asks.
pub(super) async fn post(
    serving: &Serving,
    token: &str,
    body: &Value,
    headers: &[(&str, &str)],
) -> Response {
    let mut request = serving
        .request(Method::POST, "/sync/stream")
        .header("authorization", format!("Token {token}"))
        .json(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.expect("the server answers")
}

/// The same, read to its end.
pub(super) async fn ask(
    serving: &Serving,
    token: &str,
    body: &Value,
    headers: &[(&str, &str)],
) -> Answer {
    let response = post(serving, token, body, headers).await;
    Answer {
        status: response.status(),
        headers: response.headers().clone(),
        body: response.bytes().await.expect("the body ends").to_vec(),
    }
}

/// The lines of a stream as JSON.
pub(super) fn lines(body: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(body).expect("it is text");
    let lines = text.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().expect("each line is JSON")
}

/// What a device has after these lines, as its next request says it: the buckets of the last checkpoint that is complete.
/// Panics when it is not.
pub(super) fn positions(lines: &[Value]) -> Value {
    let mut buckets: BTreeMap<&str, &str> = BTreeMap::new();
    let mut complete = false;
    for line in lines {
        complete |= line["checkpoint_complete"].is_object();
        if let Some(bucket) = line["data"]["bucket"].as_str() {
            buckets.insert(
                bucket,
                line["data"]["next_after"].as_str().expect("it has one"),
            );
        }
    }
    assert!(complete, "the checkpoint is not complete");
    let buckets = buckets.into_iter();
    buckets
        .map(|(name, after)| json!({ "name": name, "after": after }))
        .collect()
}

/// How many rows the lines bring.
pub(super) fn puts(lines: &[Value]) -> usize {
    let data = lines
        .iter()
        .filter_map(|line| line["data"]["data"].as_array());
    data.flatten()
        .filter(|operation| operation["op"] == "PUT")
        .count()
}
