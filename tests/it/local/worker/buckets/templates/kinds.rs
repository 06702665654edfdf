//! Prepared databases with every kind of schema, and with streams of several priorities that a job asks for.

use std::path::Path;

use rusqlite::Connection;
use seedbed_protocol::{
    JsonObject,
    manifest::Manifest,
    message::{SeedJob, StreamSubscription},
};
use serde_json::{Value, json};
use testkit::{
    pipeline::{Pipeline, job},
    powersync::{PowerSync, Source, StreamDefinition, SyncConfig},
};

use super::support::{Prepared, SHARED};

/// Columns of an app's table, with an index; and the same rows in a table of the app's own.
fn schemas() -> [(&'static str, Option<Value>); 3] {
    let name = json!({ "name": "name", "type": "text" });
    let by_name = json!({ "name": "by_name", "columns": [{ "name": "name", "ascending": true, "type": "text" }] });
    let given =
        json!({ "tables": [{ "name": "products", "columns": [name], "indexes": [by_name] }] });
    let raw = json!({ "tables": [], "raw_tables": [{ "name": "products",
        "ddl": "CREATE TABLE app_products (id TEXT PRIMARY KEY, name TEXT)",
        "put": { "sql": "INSERT OR REPLACE INTO app_products (id, name) VALUES (?, ?)", "params": ["Id", { "Column": "name" }] },
        "delete": { "sql": "DELETE FROM app_products WHERE id = ?", "params": ["Id"] } }] });
    [
        ("inferred", None),
        ("given", Some(given)),
        ("raw", Some(raw)),
    ]
}

/// A store's own rows come first, then those that a job asks for; the rest is everybody's.
async fn service() -> PowerSync {
    let own = Source::claim("store_id");
    let asked = Source::subscription("of");
    let config = SyncConfig::streams([
        StreamDefinition::new("a_own", "products")
            .parameter("store_id", own)
            .priority(1),
        StreamDefinition::new("b_asked", "products")
            .parameter("asked", asked)
            .on_demand(),
        StreamDefinition::new("catalogue", "products").filter(|row| row["store_id"] == "shared"),
    ]);
    let service = PowerSync::builder().config(config).start().await.unwrap();
    service.write(|rows| {
        let mut put = |store: &str, row: u32| {
            let id = format!("{store}-{row}");
            rows.put(
                "products",
                json!({ "id": id, "store_id": store, "asked": store, "name": format!("name of {row}") }),
            );
        };
        (0..SHARED).for_each(|row| put("shared", row));
        for store in ["1", "2", "3", "4"] {
            (0..5).for_each(|row| put(store, row));
        }
    });
    service
}

fn asking(store: &str) -> SeedJob {
    let parameters = JsonObject([("of".to_owned(), json!(store))].into_iter().collect());
    let asked = StreamSubscription {
        stream: "b_asked".to_owned(),
        parameters: Some(parameters),
        priority: Some(2),
    };
    job(store, json!({ "store_id": store }), vec![asked])
}

/// All that a client reads, but for times and the order in which it was written.
fn content(file: &Path) -> Vec<String> {
    let file = Connection::open(file).unwrap();
    let lines = |query: &str| -> Vec<String> {
        let mut rows = file.prepare(query).unwrap();
        let columns = rows.column_count();
        let rows = rows.query_map([], |row| {
            let values =
                (0..columns).map(|column| row.get_ref(column).map(|value| format!("{value:?}")));
            values.collect::<Result<Vec<_>, _>>()
        });
        let rows = rows.unwrap();
        rows.map(|row| row.unwrap().join(" ")).collect()
    };
    let mut content = lines("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY 1, 2");
    for table in [
        "ps_data__products",
        "app_products",
        "ps_untyped",
        "products",
    ] {
        let is_there = format!("SELECT 1 FROM sqlite_master WHERE name = '{table}'");
        if !lines(&is_there).is_empty() {
            content.extend(lines(&format!("SELECT * FROM {table} ORDER BY 1")));
        }
    }
    content.extend(lines(
        "SELECT b.name, op_id, row_type, row_id, key, data, hash FROM ps_oplog o \
         JOIN ps_buckets b ON b.id = o.bucket ORDER BY b.name, op_id",
    ));
    content.extend(lines(
        "SELECT name, last_op, last_applied_op, (add_checksum + op_checksum) & 0xffffffff, pending_delete \
         FROM ps_buckets WHERE last_op > 0 ORDER BY name",
    ));
    content.extend(lines("SELECT priority FROM ps_sync_state ORDER BY 1"));
    content.extend(lines(
        "SELECT stream_name, active, is_default, local_priority, local_params \
         FROM ps_stream_subscriptions ORDER BY 1",
    ));
    content
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_schema_and_of_stream_ends_in_what_a_full_download_makes() {
    let directory = tempfile::tempdir().unwrap();
    for (kind, schema) in schemas() {
        let service = service().await;
        let file = schema.map(|schema| {
            let file = directory.path().join(kind);
            std::fs::write(&file, schema.to_string()).unwrap();
            file
        });
        let mut plain = Pipeline::start_with(&service, |settings| {
            settings.schema.file.clone_from(&file);
            settings.buckets.enabled = false;
        })
        .await;
        let pipeline = Pipeline::start_with(&service, |settings| settings.schema.file = file).await;
        let mut prepared = Prepared { service, pipeline };
        for store in ["1", "2", "3", "4"] {
            // What is prepared is older than the store.
            let name = format!("of {store}");
            prepared.service.put(
                "products",
                json!({ "id": "shared-7", "store_id": "shared", "name": name }),
            );
            let made: Manifest = prepared.pipeline.run(asking(store)).await.unwrap();
            let expected = plain.run(asking(store)).await.unwrap();
            let (found, expected) = (prepared.pipeline.file(&made), plain.file(&expected));
            assert!(content(&found) == content(&expected), "{kind}, {store}");
            if store > "2" {
                assert!(prepared.began_prepared(&made), "{kind}, {store}");
            }
        }
        assert_eq!(prepared.files().len(), 1, "{kind}");
    }
}
