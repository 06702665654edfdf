//! The stand-in against recordings of powersync-service 1.25.0: given the same rows and the same request, it must
//! send the same lines. Checksums and subkeys depend on the service and are left out; operation ids are not.

use super::client::{
    FORMATS, Format, Lines, ask, assert_checksums_add_up, bucket_of, decode, decompress, download,
    operations,
};
use serde_json::{Value, json};
use std::path::Path;
use testkit::{
    powersync::{PowerSync, Transaction},
    recordings::recordings,
};

/// The lines of a recorded body.
pub(super) fn lines(folder: &Path, name: &str, format: Format) -> Vec<Value> {
    let extension = if format == Format::Bson {
        "bson"
    } else {
        "ndjson"
    };
    let path = folder.join(format!("{name}.{extension}"));
    let body = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    decode(&body, format)
}

/// The body of a recorded request.
pub(super) fn request(folder: &Path, name: &str) -> Value {
    let path = folder.join(format!("{name}.request.json"));
    let body = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&body).expect("a recorded request is JSON")
}

/// Makes a recorded operation happen again, with the same id.
pub(super) fn repeat(rows: &mut Transaction<'_>, operation: &Value) {
    let text = |name: &str| operation[name].as_str().unwrap_or_default();
    rows.set_next_op_id(text("op_id").parse().expect("a number"));
    match text("op") {
        "PUT" => rows.put(text("object_type"), text("data")),
        "REMOVE" => assert!(
            rows.remove(text("object_type"), text("object_id")),
            "{operation}"
        ),
        other => panic!("histories are rebuilt from before a compaction, not from {other}"),
    }
}

/// The operation id that a recorded checkpoint names.
pub(super) fn last_op_id(line: &Value) -> u64 {
    let checkpoint = line
        .get("checkpoint")
        .or(line.get("checkpoint_diff"))
        .expect("a checkpoint line");
    checkpoint["last_op_id"]
        .as_str()
        .and_then(|text| text.parse().ok())
        .expect("an operation id")
}

/// Lines without what depends on the service.
fn comparable(lines: &[Value]) -> Vec<Value> {
    let mut lines = lines.to_vec();
    let mut blank = |value: &mut Value| {
        for name in ["checksum", "subkey"] {
            if let Some(field) = value.get_mut(name) {
                *field = json!("…");
            }
        }
    };
    for line in &mut lines {
        for list in [
            "/checkpoint/buckets",
            "/checkpoint_diff/updated_buckets",
            "/data/data",
        ] {
            line.pointer_mut(list)
                .and_then(Value::as_array_mut)
                .into_iter()
                .flatten()
                .for_each(&mut blank);
        }
        for list in ["/checkpoint/buckets", "/checkpoint_diff/updated_buckets"] {
            // The order of buckets that a lookup finds is the real service's secret.
            if let Some(buckets) = line.pointer_mut(list).and_then(Value::as_array_mut) {
                buckets.sort_by_key(|bucket| bucket["bucket"].to_string());
            }
        }
    }
    lines
}

/// Asserts that two lists of lines are the same but for [`comparable`]'s omissions, and names the first that is not.
pub(super) fn assert_same(sent: &[Value], recorded: &[Value], what: &str) {
    let (sent, recorded) = (comparable(sent), comparable(recorded));
    for (number, (sent, recorded)) in sent.iter().zip(&recorded).enumerate() {
        assert!(
            sent == recorded,
            "{what}, line {number}:\n{}\nbut recorded was\n{}",
            start(sent),
            start(recorded)
        );
    }
    assert_eq!(sent.len(), recorded.len(), "{what}: number of lines");
}

fn start(line: &Value) -> String {
    line.to_string().chars().take(2000).collect()
}

/// The id of the store with this number.
fn store(number: u32) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// A service with one store whose history is that of a recording made before any compaction.
async fn service_with_history(
    folder: &Path,
    number: u32,
    recording: &str,
    format: Format,
) -> PowerSync {
    let service = PowerSync::builder().start().await.expect("a free port");
    service.add_store(&store(number));
    let recorded = lines(folder, recording, format);
    let last = last_op_id(&recorded[0]);
    let first_complete = recorded
        .iter()
        .position(|line| line.get("checkpoint_complete").is_some())
        .expect("an end");
    service.write(|rows| {
        operations(&recorded[..first_complete])
            .into_iter()
            .for_each(|operation| repeat(rows, operation));
        rows.set_next_op_id(last + 1);
    });
    service
}

/// Sends the recorded request to the service and compares the answer in both formats.
async fn assert_same_lines(service: &PowerSync, folder: &Path, number: u32, recording: &str) {
    for format in FORMATS {
        let sent = download(service, &store(number), &request(folder, recording), format).await;
        assert_same(
            &sent,
            &lines(folder, recording, format),
            &format!("{recording} as {format:?}"),
        );
    }
}

#[tokio::test]
async fn first_downloads_are_those_recorded() {
    let Some(folder) = recordings() else { return };
    for (number, recording) in [
        (2, "store2-1000"),
        (31, "store31-1000-pristine"),
        (21, "store21-2500-multiline"),
        (23, "store23-empty"),
        (24, "store24-odd-values"),
        (3, "store3-history-precompact"),
        (5, "store5-history-precompact"),
        (7, "store7-history-precompact"),
    ] {
        let service = service_with_history(&folder, number, recording, Format::Ndjson).await;
        assert_same_lines(&service, &folder, number, recording).await;
    }
}

#[tokio::test]
async fn compacted_histories_and_resumed_downloads_are_those_recorded() {
    let Some(folder) = recordings() else { return };
    for (number, recordings) in [
        (
            3,
            &[
                "store3-history-postcompact",
                "store3-resume-from-initial-postcompact",
                "store3-resume-midway-postcompact",
                "store3-resume-uptodate",
                "store3-unknown-bucket-in-request",
            ][..],
        ),
        (
            5,
            &[
                "store5-history-postcompact",
                "store5-resume-from-initial-postcompact",
            ],
        ),
        (
            7,
            &[
                "store7-history-postcompact",
                "store7-resume-from-initial-postcompact",
            ],
        ),
    ] {
        let history = format!("store{number}-history-precompact");
        let service = service_with_history(&folder, number, &history, Format::Ndjson).await;
        service.compact();
        for recording in recordings {
            assert_same_lines(&service, &folder, number, recording).await;
        }
        let whole = download(
            &service,
            &store(number),
            &request(&folder, recordings[0]),
            Format::Bson,
        )
        .await;
        assert_checksums_add_up(&whole);
    }
}

#[tokio::test]
async fn an_old_client_gets_rows_as_json_as_recorded() {
    let Some(folder) = recordings() else { return };
    let service = service_with_history(&folder, 2, "store2-1000", Format::Ndjson).await;
    let sent = download(
        &service,
        &store(2),
        &request(&folder, "store2-1000-legacy"),
        Format::Ndjson,
    )
    .await;
    let recorded = lines(&folder, "store2-1000-legacy", Format::Ndjson);
    assert_same(&sent, &recorded, "store2-1000-legacy");
}

#[tokio::test]
async fn live_changes_arrive_as_recorded() {
    let Some(folder) = recordings() else { return };
    for format in FORMATS {
        let recorded = lines(&folder, "store10-live-diff", format);
        let service = service_with_history(&folder, 10, "store10-live-diff", format).await;
        let request = request(&folder, "store10-live-diff");
        let mut stream = Lines::open(&service, &store(10), &request, format).await;
        let mut sent = stream.until_complete().await;
        service.write(|rows| {
            operations(&recorded[sent.len()..])
                .into_iter()
                .for_each(|operation| repeat(rows, operation));
        });
        sent.extend(stream.until_complete().await);
        assert_same(&sent, &recorded, "store10-live-diff");
    }
}

#[tokio::test]
async fn headers_are_those_recorded() {
    let Some(folder) = recordings() else { return };
    let service = PowerSync::builder().start().await.expect("a free port");
    for (name, format) in [
        ("store23-empty.bson", Format::Bson),
        ("store23-empty.ndjson", Format::Ndjson),
    ] {
        let recorded = std::fs::read_to_string(folder.join(format!("{name}.headers")))
            .expect("recorded headers");
        let response = ask(
            &service,
            &store(23),
            &super::client::first_request(),
            format,
        )
        .await;
        for line in recorded.lines().skip(1).filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(": ").expect("a header");
            // What Node's HTTP server adds to every answer is no part of the protocol.
            if ["Date", "Connection", "Keep-Alive"].contains(&name) {
                continue;
            }
            assert_eq!(
                response
                    .headers()
                    .get(name)
                    .and_then(|sent| sent.to_str().ok()),
                Some(value),
                "{name}"
            );
        }
    }
}

#[tokio::test]
async fn recorded_compressed_bodies_replay_byte_for_byte() {
    let Some(folder) = recordings() else { return };
    let service = PowerSync::builder().start().await.expect("a free port");
    for (file, encoding, format) in [
        ("store2-1000.zs.bson.zstd", "zstd", Format::Bson),
        ("store2-1000.zs.ndjson.zstd", "zstd", Format::Ndjson),
        ("store2-1000.gz.bson.gzip", "gzip", Format::Bson),
    ] {
        let body = std::fs::read(folder.join(file)).expect("a recorded body");
        service.replay(
            testkit::powersync::Replay::new(body.clone(), format.media_type()).encoded(encoding),
        );
        let response = ask(&service, "anyone", &json!({}), format).await;
        assert_eq!(response.headers()["content-encoding"], encoding);
        let sent = response.bytes().await.expect("the whole body");
        assert!(sent == body, "{file} differs");
        let plain = decompress(encoding, &sent).await;
        assert_eq!(
            decode(&plain, format),
            lines(&folder, "store2-1000", format)
        );
    }
}

#[tokio::test]
async fn a_recorded_bucket_has_the_name_that_the_stand_in_gives_it() {
    let Some(folder) = recordings() else { return };
    let recorded = lines(&folder, "store23-empty", Format::Ndjson);
    assert_eq!(
        recorded[0]["checkpoint"]["buckets"][0]["bucket"],
        bucket_of(&store(23))
    );
}
