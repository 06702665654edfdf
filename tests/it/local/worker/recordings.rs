//! Streams that were recorded from a real service, and the files that the official SDK made of the same
//! states. They are used where they are: see `testkit::recordings`.

mod compare;

use std::{fs, io::Read, path::Path};

use rusqlite::Connection;
use seedbed_protocol::{
    JsonObject,
    manifest::Checkpoint,
    message::{FailureKind, StreamSubscription},
};
use seedbed_worker::{
    oplog::{Accepted, Applied, OpLog, Schema, SyncOptions, Written},
    powersync::{Line, LineFormat},
    snapshot,
    snapshot::verify::{self, Expected},
};
use serde_json::{Value, json};
use testkit::{
    pipeline::{Pipeline, job},
    powersync::{BSON_STREAM, NDJSON, PowerSync, Replay},
    recordings::recordings,
};

use self::compare::compare;
use super::loading::dump::dump;

/// Recordings of a first sync, and the reference file of the state that they lead to.
const FULL: [(&str, Option<&str>); 17] = [
    ("store2-1000", Some("reference/store2-postcompact")),
    ("store2-1000-legacy", Some("reference/store2-postcompact")),
    (
        "store3-history-precompact",
        Some("reference/store3-precompact"),
    ),
    (
        "store3-history-postcompact",
        Some("reference/store3-postcompact"),
    ),
    (
        "store3-unknown-bucket-in-request",
        Some("reference/store3-postcompact"),
    ),
    (
        "store5-history-precompact",
        Some("reference/store5-precompact"),
    ),
    (
        "store5-history-postcompact",
        Some("reference/store5-postcompact"),
    ),
    (
        "store7-history-precompact",
        Some("reference/store7-precompact"),
    ),
    (
        "store7-history-postcompact",
        Some("reference/store7-postcompact"),
    ),
    (
        "store21-2500-multiline",
        Some("reference/store21-precompact"),
    ),
    ("store23-empty", Some("reference/store23-precompact")),
    ("store24-odd-values", Some("reference/store24-precompact")),
    ("store31-1000-pristine", Some("reference/store31-pristine")),
    (
        "streams/store31-default",
        Some("streams/ref-store31-default"),
    ),
    ("streams/store31-subs", Some("streams/ref-store31-subs")),
    (
        "streams/store31-subs-override-default",
        Some("streams/ref-store31-subs-override-default"),
    ),
    ("streams/store31-subs-only", None),
];

/// Recordings that continue after their first complete checkpoint.
const LIVE: [(&str, Option<&str>); 3] = [
    ("store10-live-diff", None),
    (
        "streams/store32-subs-live",
        Some("streams/ref-store32-subs-after-live"),
    ),
    ("streams/store60-interrupted", None),
];

/// The bodies of a recording: format, how the wire carried it, bytes.
fn bodies(folder: &Path, name: &str) -> Vec<(LineFormat, Option<&'static str>, Vec<u8>)> {
    let variants = [
        ("bson", LineFormat::Bson, None),
        ("ndjson", LineFormat::Ndjson, None),
        ("gz.bson.gzip", LineFormat::Bson, Some("gzip")),
        ("zs.bson.zstd", LineFormat::Bson, Some("zstd")),
        ("zs.ndjson.zstd", LineFormat::Ndjson, Some("zstd")),
        ("ndjson.gz", LineFormat::Ndjson, Some("gzip")),
    ];
    let read = |(extension, format, encoding)| {
        let body = fs::read(folder.join(format!("{name}.{extension}"))).ok()?;
        Some((format, encoding, body))
    };
    let bodies: Vec<_> = variants.into_iter().filter_map(read).collect();
    assert!(!bodies.is_empty(), "there is a recording {name}");
    bodies
}

/// The subscriptions that the recorded request asked for.
fn subscriptions(folder: &Path, name: &str) -> Vec<StreamSubscription> {
    let Ok(request) = fs::read(folder.join(format!("{name}.request.json"))) else {
        return Vec::new();
    };
    let request: Value = serde_json::from_slice(&request).unwrap();
    let subscriptions = request["streams"]["subscriptions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    subscriptions
        .into_iter()
        .map(|subscription| StreamSubscription {
            stream: subscription["stream"].as_str().unwrap().to_owned(),
            parameters: subscription["parameters"]
                .as_object()
                .cloned()
                .map(JsonObject),
            priority: subscription["override_priority"]
                .as_u64()
                .map(|priority| priority as u8),
        })
        .collect()
}

fn replay(format: LineFormat, encoding: Option<&str>, body: Vec<u8>) -> Replay {
    let content_type = if format == LineFormat::Bson {
        BSON_STREAM
    } else {
        NDJSON
    };
    let replay = Replay::new(body, content_type);
    match encoding {
        Some(encoding) => replay.encoded(encoding),
        None => replay,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_recorded_sync_becomes_the_snapshot_that_the_sdk_made_of_it() {
    let Some(folder) = recordings() else { return };
    let service = PowerSync::builder().start().await.unwrap();
    let mut pipeline = replaying(&service).await;
    for (name, reference) in FULL {
        for (format, encoding, body) in bodies(&folder, name) {
            service.replay(replay(format, encoding, body));
            let job = job(
                "s",
                json!({ "store_id": "s" }),
                subscriptions(&folder, name),
            );
            let what = format!("{name} as {format:?}, {encoding:?}");
            let manifest = pipeline
                .run(job)
                .await
                .unwrap_or_else(|failure| panic!("{what}: {failure:?}"));
            if let Some(reference) = reference {
                compare(
                    &what,
                    &pipeline.file(&manifest),
                    &folder.join(format!("{reference}.sqlite")),
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_recorded_live_stream_leads_to_the_state_of_its_last_checkpoint() {
    let Some(folder) = recordings() else { return };
    for (name, reference) in LIVE {
        for (format, encoding, body) in bodies(&folder, name) {
            let directory = tempfile::tempdir().unwrap();
            let body = if encoding == Some("gzip") {
                gunzip(&folder.join(format!("{name}.ndjson.gz")))
            } else {
                body
            };
            let snapshot = directory.path().join("snapshot.sqlite");
            let options = sync_options(subscriptions(&folder, name), LOAD_MEMORY);
            let file = directory.path().join("sync.sqlite");
            let database = OpLog::create(file, Schema::Inferred, options).await;
            let (checkpoint, written) =
                apply_everything(database.unwrap(), format, &body, &snapshot).await;
            // The others are complete once, or checked below.
            assert!(written.added || reference.is_none());
            let what = format!("{name} as {format:?}");
            assert_verified(&what, &snapshot, &checkpoint);
            if let Some(reference) = reference {
                compare(
                    &what,
                    &snapshot,
                    &folder.join(format!("{reference}.sqlite")),
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_to_a_stream_that_the_service_does_not_know_is_a_named_failure() {
    let Some(folder) = recordings() else { return };
    let service = PowerSync::builder().start().await.unwrap();
    let mut pipeline = replaying(&service).await;
    let name = "streams/store31-subs-errors";
    for (format, encoding, body) in bodies(&folder, name) {
        let (known, unknown): (Vec<_>, Vec<_>) = subscriptions(&folder, name)
            .into_iter()
            .partition(|s| s.stream.starts_with("order"));
        assert!(!unknown.is_empty());
        // What the known ones bring is whole, the missing parameter included.
        service.replay(replay(format, encoding, body.clone()));
        let manifest = pipeline
            .run(job("s", json!({ "store_id": "s" }), known))
            .await
            .unwrap();
        assert!(manifest.rows() > 0);

        service.replay(replay(format, encoding, body));
        let failure = pipeline
            .run(job("s", json!({ "store_id": "s" }), unknown.clone()))
            .await
            .unwrap_err();
        assert_eq!(failure.kind, FailureKind::Permanent);
        assert!(
            failure.message.contains(&unknown[0].stream),
            "{}",
            failure.message
        );
    }
}

/// A worker that asks once for each job: a recording answers only the request that it was recorded for, and buckets that are
/// kept for several stores are asked for in a second one.
async fn replaying(service: &PowerSync) -> Pipeline {
    Pipeline::start_with(service, |settings| settings.buckets.enabled = false).await
}

fn gunzip(file: &Path) -> Vec<u8> {
    let mut body = Vec::new();
    let mut gzip = std::process::Command::new("gzip")
        .args(["--decompress", "--stdout"])
        .arg(file)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    gzip.stdout.take().unwrap().read_to_end(&mut body).unwrap();
    assert!(gzip.wait().unwrap().success());
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_snapshot_that_goes_on_becomes_the_one_that_the_sdk_made_from_nothing() {
    let Some(folder) = recordings() else { return };
    for store in [3, 5, 7] {
        let name = format!("store{store}-resume-from-initial-postcompact");
        for (format, _, body) in bodies(&folder, &name) {
            let directory = tempfile::tempdir().unwrap();
            let base = directory.path().join("base.sqlite");
            let stale = format!("reference/stale-snapshot-{store}.sqlite");
            fs::copy(folder.join(stale), &base).unwrap();
            let database = OpLog::resume(
                base,
                Schema::Inferred,
                sync_options(Vec::new(), LOAD_MEMORY),
                false,
            );
            let snapshot = directory.path().join("snapshot.sqlite");
            let database = database.await.unwrap();
            let (checkpoint, written) = apply_everything(database, format, &body, &snapshot).await;
            assert!(written.added, "the engine has added what is new");
            let what = format!("{name} as {format:?}");
            assert_verified(&what, &snapshot, &checkpoint);
            let reference = format!("reference/store{store}-postcompact.sqlite");
            compare(&what, &snapshot, &folder.join(reference));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_core_extension_makes_the_same_database_of_every_recording() {
    let Some(folder) = recordings() else { return };
    for (name, _) in FULL.into_iter().chain(LIVE) {
        let is_live = LIVE.iter().any(|(live, _)| *live == name);
        for (format, encoding, body) in bodies(&folder, name) {
            if encoding.is_some() {
                continue;
            }
            let mut dumps = Vec::new();
            // The core extension alone; sorted in a file, and in memory.
            for memory in [None, Some(1), LOAD_MEMORY] {
                let directory = tempfile::tempdir().unwrap();
                let file = directory.path().join("sync.sqlite");
                let snapshot = directory.path().join("snapshot.sqlite");
                let options = sync_options(subscriptions(&folder, name), memory);
                let log = OpLog::create(file, Schema::Inferred, options).await;
                let (checkpoint, written) =
                    apply_everything(log.unwrap(), format, &body, &snapshot).await;
                assert_eq!(written.loaded, memory.is_some());
                assert_eq!(written.added, memory.is_some() && is_live);
                let snapshot = Connection::open(&snapshot).unwrap();
                dumps.push((dump(&snapshot, is_live), checkpoint));
            }
            for loaded in &dumps[1..] {
                assert!(loaded == &dumps[0], "{name} as {format:?} differs");
            }
        }
    }
}

fn assert_verified(what: &str, snapshot: &Path, checkpoint: &Checkpoint) {
    let expected = Expected {
        checkpoint: Some(checkpoint),
        raw_tables: &[],
    };
    let verified = verify::SnapshotFile::open(snapshot).and_then(|file| file.verify(&expected));
    verified.unwrap_or_else(|error| panic!("{what}: {error}"));
}

/// Enough for every recording, in KiB.
const LOAD_MEMORY: Option<u32> = Some(16 * 1024);

fn sync_options(
    subscriptions: Vec<StreamSubscription>,
    load_memory_kib: Option<u32>,
) -> SyncOptions {
    SyncOptions {
        parameters: serde_json::Map::new(),
        default_streams: true,
        subscriptions,
        subscription_ttl: 86_400,
        cache_kib: 16 * 1024,
        load_memory_kib,
    }
}

/// Takes every line to the last one, where a worker stops at the first complete checkpoint.
async fn apply_everything(
    mut log: OpLog,
    format: LineFormat,
    body: &[u8],
    snapshot: &Path,
) -> (Checkpoint, Written) {
    log.request().await.unwrap();
    for bytes in lines(format, body) {
        let line = Line {
            format,
            bytes: bytes.to_vec().into(),
        };
        if let Accepted::Complete(complete) = log.accept(line).await.unwrap() {
            assert_eq!(log.apply(complete).await.unwrap(), Applied::Yes);
        }
    }
    let synced = log.finish().await.unwrap();
    snapshot::scrub(&synced.connection).unwrap();
    snapshot::vacuum_into(&synced.connection, snapshot).unwrap();
    (synced.checkpoint, synced.written)
}

fn lines(format: LineFormat, body: &[u8]) -> Vec<&[u8]> {
    match format {
        LineFormat::Ndjson => body
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .collect(),
        LineFormat::Bson => {
            let mut lines = Vec::new();
            let mut rest = body;
            while let Some(length) = rest.first_chunk() {
                let (line, after) = rest.split_at(u32::from_le_bytes(*length) as usize);
                lines.push(line);
                rest = after;
            }
            lines
        }
    }
}
