//! Raw tables are filled by the core extension, never by a plain INSERT.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use seedbed_protocol::manifest::Finishing;
use seedbed_worker::{
    oplog,
    snapshot::forms::{finish, write_compact},
};
use serde_json::json;
use testkit::{pipeline::Pipeline, powersync::PowerSync};

const ROWS: u32 = 300;

fn number(connection: &Connection, sql: &str) -> i64 {
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// A store with a raw table, whose triggers record local writes.
async fn raw_store() -> (Pipeline, PathBuf, PathBuf) {
    let service = PowerSync::builder().start().await.unwrap();
    service.add_generated_store("7", ROWS, 1);
    let directory = tempfile::tempdir().unwrap();
    let schema = directory.path().join("schema.json");
    std::fs::write(
        &schema,
        json!({ "tables": [], "raw_tables": [raw_table()] }).to_string(),
    )
    .unwrap();
    let given = schema.clone();
    let mut pipeline =
        Pipeline::start_with(&service, |settings| settings.schema.file = Some(given)).await;
    let manifest = pipeline.seed("7").await.unwrap();
    let compact = pipeline.directory.path().join("compact.sqlite");
    write_compact(&pipeline.file(&manifest), &compact).unwrap();
    let app = pipeline.directory.path().join("app.sqlite");
    std::fs::copy(&compact, &app).unwrap();
    (pipeline, compact, app)
}

fn raw_table() -> serde_json::Value {
    json!({ "name": "products", "ddl": DDL,
        "put": { "sql": "INSERT OR REPLACE INTO products (id, name) VALUES (?, ?)", "params": ["Id", { "Column": "name" }] },
        "delete": { "sql": "DELETE FROM products WHERE id = ?", "params": ["Id"] } })
}

const DDL: &str = "CREATE TABLE products (id TEXT PRIMARY KEY, name TEXT)";

/// Makes the app's raw table, and the trigger that makes local writes of what the app inserts into it.
fn raw_device(file: &Path) -> Connection {
    let connection = oplog::open(file).unwrap();
    oplog::initialize(&connection).unwrap();
    connection.execute_batch(DDL).unwrap();
    let raw = json!({ "name": "products", "table_name": "products", "put": raw_table()["put"], "delete": raw_table()["delete"] });
    let trigger = "SELECT powersync_create_raw_table_crud_trigger(?1, 'products_insert', 'INSERT')";
    connection
        .query_row(trigger, [raw.to_string()], |_| Ok(()))
        .unwrap();
    connection
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_tables_are_filled_without_a_local_write_unlike_by_a_plain_insert() {
    let (_pipeline, compact, app) = raw_store().await;
    let app = raw_device(&app);
    let mut raw = raw_table();
    raw.as_object_mut().unwrap().remove("ddl");
    let schema = json!({ "tables": [], "raw_tables": [raw] }).to_string();
    finish(&app, &schema).unwrap();
    assert_eq!(
        number(&app, "SELECT count(name) FROM products"),
        i64::from(ROWS)
    );
    assert_eq!(number(&app, "SELECT count(*) FROM ps_crud"), 0);

    // What finishing must never do: the trigger makes a local write of every row, and all of them would be uploaded.
    let planted = raw_device(&compact);
    planted
        .execute_batch(&format!(
            "INSERT INTO products (id, name) SELECT row_id, data ->> 'name' FROM {} LIMIT 3",
            Finishing::OPLOG
        ))
        .unwrap();
    assert_eq!(number(&planted, "SELECT count(*) FROM ps_crud"), 3);
    let error = finish(&planted, &schema).unwrap_err().to_string();
    assert!(error.contains("cannot be finished"), "{error}");
    let renamed = "SELECT count(*) FROM sqlite_master WHERE name = 'ps_oplog'";
    assert_eq!(number(&planted, renamed), 0, "it was rolled back");
}
