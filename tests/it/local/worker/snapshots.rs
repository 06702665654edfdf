//! A snapshot is readable by any SQLite and holds its checkpoint; every change or damage is found.

use std::{path::PathBuf, time::Duration};

use rusqlite::Connection;
use seedbed_protocol::{
    manifest::{Form, RenditionKind},
    message::FailureKind,
};
use seedbed_worker::{settings::WorkerSettings, snapshot::verify::verify_file};
use serde_json::json;
use testkit::{
    machine::Tmpfs,
    pipeline::{Pipeline, job},
    powersync::PowerSync,
};

use super::reader::sqlite3;

const ROWS: u32 = 500;

async fn snapshot() -> (Pipeline, PathBuf) {
    let service = PowerSync::builder().start().await.unwrap();
    service.add_generated_store("7", ROWS, 1);
    let mut pipeline = Pipeline::start(&service).await;
    let manifest = pipeline.seed("7").await.unwrap();
    let file = pipeline.file(&manifest);
    (pipeline, file)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_independent_reader_finds_everything_in_place() {
    let (_pipeline, file) = snapshot().await;
    assert_eq!(sqlite3(&file, "PRAGMA integrity_check"), "ok");
    assert_eq!(sqlite3(&file, "PRAGMA journal_mode"), "delete");
    assert_eq!(
        sqlite3(&file, "SELECT count(*) FROM ps_kv WHERE key = 'client_id'"),
        "0"
    );
    assert_eq!(sqlite3(&file, "SELECT count(*) FROM ps_crud"), "0");
    assert_eq!(sqlite3(&file, "SELECT count(*) FROM ps_untyped"), "0");
    assert_eq!(
        sqlite3(&file, "SELECT count(*), count(DISTINCT id) FROM products"),
        format!("{ROWS}|{ROWS}")
    );
    assert_eq!(
        sqlite3(
            &file,
            "SELECT typeof(quantity), typeof(price) FROM products LIMIT 1"
        ),
        "integer|text"
    );
    assert_eq!(
        sqlite3(
            &file,
            "SELECT count(*) FROM ps_sync_state WHERE priority = 2147483647"
        ),
        "1"
    );
    assert_eq!(
        sqlite3(
            &file,
            "SELECT count(*) FROM ps_buckets WHERE last_op = last_applied_op"
        ),
        "1"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_changed_in_a_snapshot_is_found() {
    let (pipeline, file) = snapshot().await;
    verify_file(&file).unwrap();
    let cases = [
        (
            "INSERT INTO ps_kv (key, value) VALUES ('client_id', 'x')",
            "client_id",
        ),
        (
            "INSERT INTO ps_kv (key, value) VALUES ('last_seen_checkpoint_request_id', '3')",
            "last_seen_checkpoint_request_id",
        ),
        ("DELETE FROM ps_kv", "powersync_js_migrated_subkeys"),
        (
            "INSERT INTO ps_crud (data) VALUES ('{}')",
            "ps_crud holds 1",
        ),
        ("DELETE FROM ps_sync_state", "no complete sync"),
        (
            "INSERT INTO ps_untyped (type, id, data) VALUES ('orders', '1', '{}')",
            "\"orders\" have no table",
        ),
        (
            "UPDATE ps_oplog SET hash = hash + 1 WHERE rowid = 1",
            "checksum",
        ),
        (
            "UPDATE ps_buckets SET op_checksum = op_checksum + 1",
            "checksum",
        ),
        (
            "UPDATE ps_buckets SET last_applied_op = last_op - 1",
            "not applied",
        ),
        (
            "UPDATE ps_data__products SET data = '{}' WHERE rowid = 1",
            "1 rows differ",
        ),
        (
            "UPDATE ps_data__products SET data = CAST(data AS BLOB) WHERE rowid = 1",
            "a blob in place of a text",
        ),
        (
            "CREATE TEMP TABLE swapped AS SELECT 3 - rowid AS other, data FROM ps_data__products WHERE rowid IN (1, 2);
             UPDATE ps_data__products SET data = (SELECT data FROM swapped WHERE other = ps_data__products.rowid)
             WHERE rowid IN (1, 2)",
            "2 rows differ",
        ),
        (
            "DELETE FROM ps_data__products WHERE id = (SELECT row_id FROM ps_oplog WHERE rowid = 1);
             DELETE FROM ps_oplog WHERE rowid = 1",
            "checksum",
        ),
        (
            "DELETE FROM ps_data__products WHERE rowid IN (1, 2)",
            "2 are missing",
        ),
        (
            "INSERT INTO ps_data__products (id, data) VALUES ('x', '{}')",
            "1 have no operation",
        ),
        (
            "UPDATE ps_data__products SET id = 'x' WHERE rowid = 1",
            "1 are missing, 1 have no operation",
        ),
        (
            "UPDATE ps_oplog SET row_type = 'orders' WHERE rowid = 1",
            "products",
        ),
        ("DROP TABLE ps_oplog", "not a readable PowerSync database"),
        ("PRAGMA journal_mode = wal", "journal mode"),
    ];
    for (number, (change, expected)) in cases.into_iter().enumerate() {
        let copy = pipeline
            .directory
            .path()
            .join(format!("copy-{number}.sqlite"));
        std::fs::copy(&file, &copy).unwrap();
        Connection::open(&copy)
            .unwrap()
            .execute_batch(change)
            .unwrap();
        let error = verify_file(&copy).expect_err(change).to_string();
        assert!(error.contains(expected), "{change}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_and_foreign_files_are_refused() {
    let (pipeline, file) = snapshot().await;
    let bytes = std::fs::read(&file).unwrap();
    let copy = pipeline.directory.path().join("copy.sqlite");
    let mut damaged = bytes.clone();
    for byte in &mut damaged[bytes.len() / 2..bytes.len() / 2 + 4096] {
        *byte ^= 0x55;
    }
    for (what, content) in [
        ("damaged", &damaged[..]),
        ("cut", &bytes[..bytes.len() / 2]),
        ("foreign", b"hello"),
        ("empty", b""),
    ] {
        std::fs::write(&copy, content).unwrap();
        assert!(verify_file(&copy).is_err(), "{what}");
    }
    assert!(verify_file(&pipeline.directory.path().join("nothing")).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_a_named_failure_and_leaves_nothing() {
    let Some(small) = Tmpfs::mount("size=3m") else {
        return;
    };
    let service = PowerSync::builder().start().await.unwrap();
    service.add_generated_store("7", 20_000, 1);
    service.add_generated_store("fits", 1_000, 1);
    service.add_generated_store("no-room-for-two", 1_600, 1);
    let work = small.path().join("work");
    let in_small_memory = |settings: &mut WorkerSettings| {
        settings.worker.directory = work.clone();
        // So little that everything spills at once.
        settings.worker.cache_mib = 1;
        settings.worker.load_memory_mib = 1;
        // Other forms would need more room.
        let is_file = |kind: &RenditionKind| kind.form == Form::File;
        settings.snapshots.renditions.retain(is_file);
    };
    let mut pipeline = Pipeline::start_with(&service, |settings| {
        in_small_memory(settings);
        settings.worker.fast_load = false;
    })
    .await;
    let failure = pipeline.seed("7").await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Transient);
    assert!(
        failure.message.contains("worker.directory is full"),
        "{}",
        failure.message
    );

    let failure = pipeline.seed("no-room-for-two").await.unwrap_err();
    assert!(
        failure.message.contains("VACUUM INTO needs"),
        "{}",
        failure.message
    );
    assert_eq!(failure.step, "vacuum");
    pipeline.seed("fits").await.unwrap();

    // What is loaded in bulk needs no copy.
    let mut pipeline = Pipeline::start_with(&service, in_small_memory).await;
    let failure = pipeline.seed("7").await.unwrap_err();
    assert!(
        failure.message.contains("worker.directory is full"),
        "{}",
        failure.message
    );
    pipeline.seed("no-room-for-two").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_cannot_be_written_is_a_named_failure() {
    let Some(target) = Tmpfs::mount("size=3m") else {
        return;
    };
    let service = PowerSync::builder().start().await.unwrap();
    service.add_generated_store("7", ROWS, 1);
    let url = format!("file:{}", target.path().display());
    let mut pipeline =
        Pipeline::start_with(&service, |settings| settings.snapshots.url = url).await;
    target.remount("ro");
    let failure = pipeline.seed("7").await.unwrap_err();
    assert_eq!(failure.step, "upload");
    assert!(
        failure.message.contains(&*target.path().to_string_lossy()),
        "{}",
        failure.message
    );

    target.remount("rw");
    let manifest = pipeline.seed("7").await.unwrap();
    verify_file(&pipeline.file(&manifest)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_after_its_deadline_is_not_worth_starting_and_one_that_reaches_it_is_given_up() {
    let service = PowerSync::builder().start().await.unwrap();
    service.add_generated_store("7", ROWS, 1);
    let mut pipeline = Pipeline::start(&service).await;
    let mut late = job("7", json!({ "store_id": "7" }), Vec::new());
    late.deadline = chrono::Utc::now() - Duration::from_secs(1);
    let failure = pipeline.run(late).await.unwrap_err();
    assert!(failure.message.contains("deadline"), "{}", failure.message);
    assert_eq!(service.metrics().total.requests, 0);

    service
        .faults()
        .push(testkit::powersync::Fault::StallAfter { bytes: 1000 });
    let mut slow = job("7", json!({ "store_id": "7" }), Vec::new());
    slow.deadline = chrono::Utc::now() + Duration::from_millis(500);
    let failure = pipeline.run(slow).await.unwrap_err();
    assert!(failure.message.contains("deadline"), "{}", failure.message);
}
