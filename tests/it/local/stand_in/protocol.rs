//! What every client relies on, with rows of our own making: these run without the recordings.

use super::client::{
    FORMATS, Format, Lines, ask, assert_checksums_add_up, bucket_of, decode, decompress, download,
    expected_rows, first_request, kinds, operations, resuming, rows_after,
};
use serde_json::{Value, json};
use testkit::powersync::PowerSync;

async fn start() -> PowerSync {
    PowerSync::builder().start().await.expect("a free port")
}

fn put_product(service: &PowerSync, id: &str, store: &str, name: &str) {
    service.put(
        "products",
        json!({"id": id, "store_id": store, "name": name}),
    );
}

#[tokio::test]
async fn a_first_download_brings_exactly_the_rows_of_the_store() {
    let service = start().await;
    service.add_generated_store("a", 2500, 7);
    service.add_generated_store("b", 10, 7);
    put_product(&service, "written", "a", "quote \" back\\slash \u{1} é 😀");
    for format in FORMATS {
        let lines = download(&service, "a", &first_request(), format).await;
        assert_eq!(
            kinds(&lines),
            ["checkpoint", "data", "data", "data", "checkpoint_complete"]
        );
        let has_more: Vec<_> = lines[1..4]
            .iter()
            .map(|line| line["data"]["has_more"] == true)
            .collect();
        assert_eq!(has_more, [true, true, false]);
        let sizes: Vec<_> = lines[1..4]
            .iter()
            .map(|line| operations(std::slice::from_ref(line)).len())
            .collect();
        assert_eq!(sizes, [1000, 1000, 501]);
        assert_eq!(lines[1]["data"]["next_after"], lines[2]["data"]["after"]);
        assert_checksums_add_up(&lines);
        assert_eq!(
            rows_after(&operations(&lines)),
            expected_rows(&service, "a")
        );
        assert_eq!(service.rows("a").count(), 2501);
    }
}

#[tokio::test]
async fn a_full_last_batch_still_says_that_there_is_more() {
    let service = start().await;
    service.add_generated_store("a", 1000, 7);
    let lines = download(&service, "a", &first_request(), Format::Bson).await;
    assert_eq!(kinds(&lines), ["checkpoint", "data", "checkpoint_complete"]);
    assert_eq!(lines[1]["data"]["has_more"], true);
}

#[tokio::test]
async fn lines_are_cut_before_they_exceed_a_mebibyte() {
    let service = start().await;
    service.add_store("a");
    let text = "x".repeat(400_000);
    for id in ["1", "2", "3", "4", "5"] {
        put_product(&service, id, "a", &text);
    }
    let lines = download(&service, "a", &first_request(), Format::Bson).await;
    let sizes: Vec<_> = lines[1..4]
        .iter()
        .map(|line| operations(std::slice::from_ref(line)).len())
        .collect();
    assert_eq!(sizes, [2, 2, 1]);
}

#[tokio::test]
async fn an_empty_store_has_an_empty_bucket_and_an_unknown_one_has_none() {
    let service = start().await;
    service.add_store("empty");
    for format in FORMATS {
        let lines = download(&service, "empty", &first_request(), format).await;
        let bucket = json!({"bucket": bucket_of("empty"), "checksum": 0, "count": 0, "priority": 3,
                            "subscriptions": [{"default": 0}]});
        assert_eq!(lines[0]["checkpoint"]["buckets"], json!([bucket]));
        assert_eq!(kinds(&lines), ["checkpoint", "checkpoint_complete"]);
        let lines = download(&service, "nobody", &first_request(), format).await;
        assert_eq!(lines[0]["checkpoint"]["buckets"], json!([]));
        assert_eq!(
            lines[0]["checkpoint"]["streams"][0]["name"],
            "store_products"
        );
        assert_eq!(kinds(&lines), ["checkpoint", "checkpoint_complete"]);
    }
}

#[tokio::test]
async fn a_client_that_is_up_to_date_gets_no_data_and_one_that_is_behind_gets_the_rest() {
    let service = start().await;
    service.add_generated_store("a", 20, 7);
    let known = service.last_op_id();
    let bucket = bucket_of("a");
    let lines = download(&service, "a", &resuming(&bucket, known), Format::Bson).await;
    assert_eq!(kinds(&lines), ["checkpoint", "checkpoint_complete"]);
    put_product(&service, "new", "a", "new");
    let lines = download(&service, "a", &resuming(&bucket, known), Format::Bson).await;
    assert_eq!(operations(&lines).len(), 1);
    assert_eq!(lines[1]["data"]["after"], known.to_string());
    let lines = download(
        &service,
        "a",
        &resuming("1#no_such_bucket", 5),
        Format::Bson,
    )
    .await;
    assert_eq!(operations(&lines).len(), 21, "unknown buckets are ignored");
}

#[tokio::test]
async fn compaction_keeps_rows_and_checksums_and_leaves_moves_and_a_clear() {
    let service = start().await;
    service.add_store("a");
    for round in ["first", "second"] {
        for id in ["1", "2"] {
            put_product(&service, id, "a", round);
        }
    }
    put_product(&service, "3", "a", "kept");
    put_product(&service, "1", "a", "third");
    assert!(service.remove("products", "2"));
    assert!(!service.remove("products", "2"), "it is gone");
    let before = download(&service, "a", &first_request(), Format::Ndjson).await;
    service.compact();
    for format in FORMATS {
        let after = download(&service, "a", &first_request(), format).await;
        assert_eq!(
            after[0], before[0],
            "the checkpoint is the same, even its outdated count"
        );
        let kinds: Vec<_> = operations(&after)
            .iter()
            .map(|operation| operation["op"].clone())
            .collect();
        assert_eq!(kinds, ["CLEAR", "PUT", "PUT", "REMOVE"]);
        assert_checksums_add_up(&after);
        assert_eq!(
            rows_after(&operations(&after)),
            expected_rows(&service, "a")
        );
    }
    put_product(&service, "3", "a", "changed");
    service.compact();
    let after = download(&service, "a", &first_request(), Format::Bson).await;
    let kinds: Vec<_> = operations(&after)
        .iter()
        .map(|operation| operation["op"].clone())
        .collect();
    assert_eq!(
        kinds,
        ["CLEAR", "PUT", "REMOVE", "PUT"],
        "a run that leaves no row goes into the CLEAR"
    );
    assert_checksums_add_up(&after);
}

#[tokio::test]
async fn bare_operations_have_only_an_id_a_kind_and_a_checksum() {
    let service = start().await;
    service.add_store("a");
    for id in ["1", "2", "1", "3", "2"] {
        put_product(&service, id, "a", "x");
    }
    service.compact();
    let lines = download(&service, "a", &first_request(), Format::Ndjson).await;
    let bare: Vec<_> = operations(&lines)
        .into_iter()
        .filter(|operation| operation.get("data").is_none())
        .collect();
    assert!(!bare.is_empty());
    for operation in bare {
        let fields: Vec<_> = operation
            .as_object()
            .expect("an operation")
            .keys()
            .collect();
        assert_eq!(fields, ["op_id", "op", "checksum"]);
    }
}

#[tokio::test]
async fn generated_rows_can_be_replaced_and_removed() {
    let service = start().await;
    service.add_generated_store("a", 100, 7);
    let ids: Vec<_> = service.rows("a").map(|row| row.id).take(2).collect();
    put_product(&service, &ids[0], "a", "replaced");
    assert!(service.remove("products", &ids[1]));
    let check = async |service: &PowerSync| {
        let lines = download(service, "a", &first_request(), Format::Bson).await;
        assert_checksums_add_up(&lines);
        let rows = rows_after(&operations(&lines));
        assert_eq!(rows.len(), 99);
        assert_eq!(rows, expected_rows(service, "a"));
    };
    check(&service).await;
    service.compact();
    check(&service).await;
}

#[tokio::test]
async fn a_row_that_moves_to_another_store_leaves_the_first() {
    let service = start().await;
    service.add_store("a");
    service.add_store("b");
    put_product(&service, "1", "a", "x");
    put_product(&service, "1", "b", "x");
    let lines = download(&service, "a", &first_request(), Format::Bson).await;
    assert_eq!(operations(&lines)[1]["op"], "REMOVE");
    assert_eq!(operations(&lines)[1]["data"], Value::Null);
    assert_eq!(service.rows("a").count(), 0);
    assert_eq!(service.rows("b").count(), 1);
}

#[tokio::test]
async fn compressed_bodies_are_flushed_line_by_line() {
    let service = start().await;
    service.add_generated_store("a", 1500, 7);
    let plain = download(&service, "a", &first_request(), Format::Bson).await;
    for (accepted, used) in [
        ("zstd", "zstd"),
        ("gzip", "gzip"),
        ("gzip, zstd;q=0.9", "gzip"),
        ("gzip, zstd", "zstd"),
    ] {
        let mut response = reqwest::Client::new()
            .post(format!("{}/sync/stream", service.endpoint()))
            .header("authorization", format!("Token {}", service.token_for("a")))
            .header("accept", Format::Bson.media_type())
            .header("accept-encoding", accepted)
            .json(&first_request())
            .send()
            .await
            .expect("an answer");
        assert_eq!(response.headers()["content-encoding"], used);
        // The stream stays open: all lines must be readable although the compressed body has no end yet.
        let mut body = Vec::new();
        let mut lines = Vec::new();
        while lines.len() < plain.len() {
            body.extend(response.chunk().await.expect("no error").expect("no end"));
            lines = decode_prefix(used, &body).await;
        }
        assert_eq!(lines, plain);
    }
}

/// The complete lines in an unfinished compressed body.
async fn decode_prefix(encoding: &str, body: &[u8]) -> Vec<Value> {
    let plain = decompress(encoding, body).await;
    let mut end = 0;
    while let Some(length) = plain
        .get(end..end + 4)
        .and_then(|bytes| bytes.try_into().ok())
        .map(u32::from_le_bytes)
    {
        if end + length as usize > plain.len() {
            break;
        }
        end += length as usize;
    }
    decode(&plain[..end], Format::Bson)
}

#[tokio::test]
async fn requests_and_counters_can_be_inspected() {
    let service = start().await;
    service.add_generated_store("a", 30, 7);
    let mut body = first_request();
    body["parameters"] = json!({"locale": "en"});
    let mut stream = Lines::open(&service, "a", &body, Format::Bson).await;
    stream.until_complete().await;
    let metrics = service
        .wait_for(|metrics| metrics.total.operations == 30)
        .await;
    assert_eq!(metrics.store("a").requests, 1);
    assert_eq!(metrics.store("a").open_streams, 1);
    assert_eq!(metrics.store("b"), Default::default());
    assert!(metrics.total.bytes > 30 * 300);
    drop(stream);
    service
        .wait_for(|metrics| metrics.total.open_streams == 0)
        .await;
    let requests = service.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].body, body);
    assert_eq!(requests[0].claims["store_id"], "a");
    assert_eq!(requests[0].jwt_header["kid"], service.kid());
    assert_eq!(
        requests[0].accept.as_deref(),
        Some(Format::Bson.media_type())
    );
}

#[tokio::test]
async fn only_the_known_paths_exist() {
    let service = start().await;
    let get = async |path: &str| {
        let url = format!("{}{path}", service.endpoint());
        reqwest::get(url)
            .await
            .expect("an answer")
            .status()
            .as_u16()
    };
    assert_eq!(get("/probes/liveness").await, 200);
    assert_eq!(get("/").await, 404);
    assert_eq!(get("/sync/stream").await, 404);
}

#[tokio::test]
async fn one_stream_too_many_gets_429() {
    let service = PowerSync::builder()
        .max_streams(1)
        .start()
        .await
        .expect("a free port");
    service.add_store("a");
    let mut stream = Lines::open(&service, "a", &json!({}), Format::Bson).await;
    stream.until_complete().await;
    let refused = ask(&service, "a", &json!({}), Format::Bson).await;
    assert_eq!(refused.status(), 429);
    let body: Value = refused.json().await.expect("a JSON body");
    assert_eq!(body["error"]["code"], "PSYNC_S2304");
    drop(stream);
    service
        .wait_for(|metrics| metrics.total.open_streams == 0)
        .await;
    assert_eq!(
        ask(&service, "a", &json!({}), Format::Bson).await.status(),
        200
    );
}

#[tokio::test]
async fn too_many_buckets_are_refused_with_the_configured_status() {
    let builder = PowerSync::builder()
        .max_buckets(0)
        .too_many_buckets_status(400);
    let service = builder.start().await.expect("a free port");
    service.add_store("a");
    let refused = ask(&service, "a", &json!({}), Format::Bson).await;
    assert_eq!(refused.status(), 400);
    let body: Value = refused.json().await.expect("a JSON body");
    assert_eq!(body["error"]["code"], "PSYNC_S2305");
}

#[tokio::test]
async fn without_a_sync_config_requests_fail_until_there_is_one() {
    let service = PowerSync::builder()
        .without_sync_config()
        .start()
        .await
        .expect("a free port");
    let refused = ask(&service, "a", &json!({}), Format::Bson).await;
    assert_eq!(refused.status(), 500);
    let body: Value = refused.json().await.expect("a JSON body");
    assert_eq!(body["error"]["code"], "PSYNC_S2302");
    service.set_ready(true);
    assert_eq!(
        ask(&service, "a", &json!({}), Format::Bson).await.status(),
        200
    );
}

#[tokio::test]
async fn the_port_closes_when_the_service_is_dropped() {
    let service = start().await;
    service.add_store("a");
    let endpoint = service.endpoint();
    let mut stream = Lines::open(&service, "a", &json!({}), Format::Bson).await;
    stream.until_complete().await;
    drop(service);
    assert_eq!(stream.next().await, None, "open streams end");
    drop(stream);
    // The listener closes on its own time; each refused or answered attempt is a step towards it.
    while reqwest::get(format!("{endpoint}/probes/liveness"))
        .await
        .is_ok()
    {
        tokio::task::yield_now().await;
    }
}
