//! The compact form: what is in it, that it is of no use unfinished, and what finishing makes of it.

mod raw_tables;

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use seedbed_protocol::manifest::{Encoding, Finishing, Form, Manifest};
use seedbed_worker::{
    oplog::{self, Schema},
    snapshot::forms::{FormCheck, FormError, finish},
};
use serde_json::json;
use testkit::{pipeline::Pipeline, powersync::PowerSync};

use super::reader::sqlite3;

const ROWS: u32 = 400;

/// What an app without tables of its own gives the core extension.
const NO_RAW_TABLES: &str = r#"{"tables":[]}"#;

/// A seeded store, its file, and its compact file as a device unpacks it.
struct Seeded {
    pipeline: Pipeline,
    manifest: Manifest,
    file: PathBuf,
    compact: PathBuf,
}

impl Seeded {
    async fn start() -> Self {
        let service = PowerSync::builder().start().await.unwrap();
        service.add_generated_store("7", ROWS, 1);
        let mut pipeline = Pipeline::start(&service).await;
        let manifest = pipeline.seed("7").await.unwrap();
        let file = pipeline.file(&manifest);
        let compact = pipeline.directory.path().join("compact.sqlite");
        let fetching = pipeline
            .snapshots
            .fetch_rendition(&manifest.forms[0], &compact);
        fetching.await.unwrap();
        Self {
            pipeline,
            manifest,
            file,
            compact,
        }
    }

    fn copy(&self, name: &str) -> PathBuf {
        let copy = self.pipeline.directory.path().join(name);
        std::fs::copy(&self.compact, &copy).unwrap();
        copy
    }
}

impl Seeded {
    /// Whether a form becomes what the file is.
    fn check(&self, form: Form, path: &Path) -> Result<(), FormError> {
        let scratch = path.with_extension("finished");
        let check = FormCheck::open(form, path, &self.file, &scratch, &Schema::Inferred);
        check.and_then(FormCheck::run)
    }

    /// The stream form, unpacked.
    async fn stream(&self) -> Vec<String> {
        let stream = self.pipeline.directory.path().join("stream.ndjson");
        let form = self
            .manifest
            .forms
            .iter()
            .find(|form| form.form == Form::Stream);
        let fetching = self
            .pipeline
            .snapshots
            .fetch_rendition(form.unwrap(), &stream);
        fetching.await.unwrap();
        let text = std::fs::read_to_string(&stream).unwrap();
        text.lines().map(ToOwned::to_owned).collect()
    }
}

fn number(connection: &Connection, sql: &str) -> i64 {
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Opens a file as an SDK does: the core extension migrates it, and the app's tables are made.
fn device(file: &Path) -> Connection {
    let connection = oplog::open(file).unwrap();
    oplog::initialize(&connection).unwrap();
    let column = |name| json!({ "name": name, "type": "text" });
    let columns = json!([column("name"), column("price")]);
    let schema = json!({ "tables": [{ "name": "products", "columns": columns }] });
    let replace = "SELECT powersync_replace_schema(?1)";
    connection
        .query_row(replace, [schema.to_string()], |_| Ok(()))
        .unwrap();
    connection
}

fn control(connection: &Connection, operation: &str, payload: &str) -> rusqlite::Result<()> {
    let control = "SELECT powersync_control(?1, ?2)";
    connection.query_row(control, [operation, payload], |_| Ok(()))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_compact_file_has_the_operations_and_nothing_that_a_device_makes_of_them() {
    let seeded = Seeded::start().await;
    let Seeded {
        manifest,
        file,
        compact,
        ..
    } = &seeded;
    let (plain, form) = (&manifest.renditions[0], &manifest.forms[0]);
    assert_eq!((form.form, form.encoding), (Form::Compact, Encoding::Gzip));
    assert_eq!(form.finish, Some(Finishing::current().version));
    assert!(form.key.ends_with(".compact.sqlite.gz"), "{}", form.key);
    let unpacked = form.unpacked.as_ref().unwrap();
    assert_eq!(unpacked.bytes, compact.metadata().unwrap().len());
    assert!(unpacked.bytes < plain.bytes * 6 / 10, "{}", unpacked.bytes);
    assert_eq!(plain.unpacked.as_ref().unwrap().sha256, plain.sha256);

    let objects = "SELECT group_concat(name, ' ') FROM (SELECT name FROM sqlite_master
                   WHERE name NOT LIKE 'sqlite_%' AND name NOT LIKE 'ps_%' OR type IN ('view', 'trigger')
                      OR name LIKE 'ps_data%' OR name LIKE 'ps_oplog%')";
    assert_eq!(sqlite3(compact, objects), Finishing::OPLOG);
    assert_eq!(sqlite3(compact, "PRAGMA integrity_check"), "ok");
    assert_eq!(sqlite3(compact, "SELECT count(*) FROM ps_sync_state"), "0");
    assert_eq!(sqlite3(compact, "PRAGMA journal_mode"), "delete");
    for same in [
        "SELECT max(id) FROM ps_migration",
        "SELECT group_concat(key || value) FROM ps_kv",
        "SELECT group_concat(name || op_checksum || add_checksum || last_op) FROM ps_buckets",
        "SELECT group_concat(stream_name || is_default) FROM ps_stream_subscriptions",
    ] {
        assert_eq!(sqlite3(compact, same), sqlite3(file, same), "{same}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_forgets_to_finish_it_fails_at_its_first_connection() {
    let seeded = Seeded::start().await;
    let app = device(&seeded.compact);
    assert_eq!(number(&app, "SELECT count(*) FROM products"), 0);
    let synced = "SELECT count(*) FROM ps_sync_state";
    assert_eq!(
        number(&app, synced),
        0,
        "it does not say that it has synced"
    );
    let start = json!({ "parameters": {}, "schema": { "tables": [] }, "include_defaults": true });
    // An app that starts from a snapshot gives itself an id, as PowerSync's guide says.
    app.execute_batch("INSERT INTO ps_kv VALUES ('client_id', uuid()); BEGIN")
        .unwrap();
    let bucket = &seeded.manifest.checkpoint.buckets[0];
    let data = json!({ "data": { "bucket": bucket.bucket, "after": "0", "has_more": false, "next_after": "9", "data": [{
        "op_id": "9", "op": "PUT", "object_type": "products", "object_id": "1", "checksum": 1, "subkey": "a", "data": "{}" }] } });
    let checkpoint = json!({ "checkpoint": { "last_op_id": "9", "streams": [], "buckets": [
        { "bucket": bucket.bucket, "checksum": 1, "count": 1, "priority": 3 }] } });
    let connected = control(&app, "start", &start.to_string())
        .and_then(|()| control(&app, "line_text", &checkpoint.to_string()))
        .and_then(|()| control(&app, "line_text", &data.to_string()));
    let error = connected.unwrap_err().to_string();
    // Newer core extensions say "no such table: ps_oplog".
    assert!(
        error.contains("SQLite") || error.contains("ps_oplog"),
        "{error}"
    );
    assert_eq!(number(&app, synced), 0, "nor does it now");
}

#[tokio::test(flavor = "multi_thread")]
async fn finished_it_is_the_file_and_every_row_is_there_without_a_connection() {
    let seeded = Seeded::start().await;
    let app = device(&seeded.copy("app.sqlite"));
    finish(&app, NO_RAW_TABLES).unwrap();
    let rows = "SELECT count(*) FROM products WHERE name IS NOT NULL";
    assert_eq!(number(&app, rows), i64::from(ROWS));
    assert_eq!(number(&app, "SELECT count(*) FROM ps_crud"), 0);
    let client = "SELECT count(*) FROM ps_kv WHERE key = 'client_id' AND length(value) = 36";
    assert_eq!(number(&app, client), 1);
    let synced = "SELECT powersync_offline_sync_status()";
    let status: String = app.query_row(synced, [], |row| row.get(0)).unwrap();
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["priority_status"][0]["has_synced"], true, "{status}");

    // A second time, there is nothing to finish.
    let error = finish(&app, NO_RAW_TABLES).unwrap_err().to_string();
    assert!(error.contains("recognise returned Some(0)"), "{error}");
    assert_eq!(number(&app, rows), i64::from(ROWS));
    seeded.check(Form::Compact, &seeded.compact).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_changed_in_a_compact_file_is_found() {
    let seeded = Seeded::start().await;
    let oplog = Finishing::OPLOG;
    let cases = [
        (
            format!("UPDATE {oplog} SET data = '{{}}' WHERE rowid = 1"),
            "table \"ps_data__products\": 1 of 400",
        ),
        (
            format!("DELETE FROM {oplog} WHERE rowid IN (1, 2)"),
            "2 of 400 rows are missing",
        ),
        (
            format!("UPDATE {oplog} SET hash = hash + 1 WHERE rowid = 1"),
            "table \"ps_oplog\"",
        ),
        (
            "UPDATE ps_buckets SET last_op = last_op + 1".to_owned(),
            "table \"ps_buckets\"",
        ),
        ("DELETE FROM ps_kv".to_owned(), "table \"ps_kv\""),
        (
            "DELETE FROM ps_stream_subscriptions".to_owned(),
            "ps_stream_subscriptions",
        ),
        (
            "INSERT INTO ps_crud (data) VALUES ('{}')".to_owned(),
            "1 rows in ps_crud",
        ),
        (
            "INSERT INTO ps_kv VALUES ('client_id', 'x')".to_owned(),
            "client_id",
        ),
        (
            "INSERT INTO ps_kv VALUES ('target_checkpoint_request_id', 1)".to_owned(),
            "target_checkpoint_request_id",
        ),
        (
            "CREATE TABLE ps_data__products (id TEXT, data TEXT)".to_owned(),
            "ps_data__products",
        ),
        ("CREATE VIEW products AS SELECT 1".to_owned(), "products"),
        ("CREATE TABLE draft (id TEXT)".to_owned(), "draft"),
        (
            format!("ALTER TABLE {oplog} RENAME TO ps_oplog"),
            "ps_oplog",
        ),
    ];
    for (number, (change, expected)) in cases.into_iter().enumerate() {
        let copy = seeded.copy(&format!("changed-{number}.sqlite"));
        Connection::open(&copy)
            .unwrap()
            .execute_batch(&change)
            .unwrap();
        let error = seeded.check(Form::Compact, &copy);
        let error = error.expect_err(&change).to_string();
        assert!(error.contains(expected), "{change}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_is_one_checkpoint_that_an_sdk_applies_and_leaves() {
    let seeded = Seeded::start().await;
    let form = &seeded.manifest.forms.last().unwrap();
    assert!(form.key.ends_with(".ndjson.zst"), "{}", form.key);
    assert_eq!(form.finish, None);
    let lines = seeded.stream().await;
    let parsed: Vec<serde_json::Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let checkpoint = &parsed[0]["checkpoint"];
    let known = &seeded.manifest.checkpoint;
    assert_eq!(checkpoint["last_op_id"], known.last_op_id.to_string());
    assert_eq!(
        checkpoint["buckets"][0]["checksum"],
        known.buckets[0].checksum.cast_signed()
    );
    assert_eq!(
        checkpoint["buckets"][0]["subscriptions"],
        json!([{ "default": 0 }])
    );
    let puts = parsed
        .iter()
        .flat_map(|line| line["data"]["data"].as_array());
    let puts = puts
        .flatten()
        .filter(|operation| operation["op"] == "PUT")
        .count();
    assert_eq!(puts, ROWS as usize);
    assert_eq!(lines.last().unwrap(), r#"{"token_expires_in":0}"#);

    type Change = fn(&mut Vec<String>);
    let cases: [(&str, Change); 4] = [
        ("does not end with", |lines| drop(lines.pop())),
        ("line 3", |lines| drop(lines.remove(1))),
        ("differs from the file", |lines| {
            drop(lines.remove(lines.len() - 2));
        }),
        ("1 of 400", |lines| {
            lines[1] = lines[1].replacen(r#"\"name\":\""#, r#"\"name\":\"x"#, 1);
        }),
    ];
    for (number, (expected, change)) in cases.into_iter().enumerate() {
        let mut lines = lines.clone();
        change(&mut lines);
        let path = seeded
            .pipeline
            .directory
            .path()
            .join(format!("{number}.ndjson"));
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
        let error = seeded
            .check(Form::Stream, &path)
            .expect_err(expected)
            .to_string();
        assert!(error.contains(expected), "{number}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn superseded_operations_are_folded_into_a_clear() {
    let service = PowerSync::builder().start().await.unwrap();
    service.add_generated_store("7", ROWS, 1);
    for _ in 0..3 {
        service.put(
            "products",
            json!({ "id": "changed", "store_id": "7", "name": "again" }),
        );
    }
    service.remove("products", "changed");
    let mut pipeline = Pipeline::start(&service).await;
    let manifest = pipeline.seed("7").await.unwrap();
    let stream = pipeline.directory.path().join("stream.ndjson");
    let form = manifest.forms.last().unwrap();
    pipeline
        .snapshots
        .fetch_rendition(form, &stream)
        .await
        .unwrap();
    let text = std::fs::read_to_string(&stream).unwrap();
    let data: serde_json::Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
    let first = &data["data"]["data"][0];
    assert_eq!(
        (&first["op"], &first["op_id"]),
        (&json!("CLEAR"), &json!("0"))
    );
    assert!(!text.contains("REMOVE") && !text.contains("\"changed\""));
}
