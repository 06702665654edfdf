//! Tables that the app fills by statements of its own.

use rusqlite::Connection;
use serde_json::{Value, json};
use testkit::{
    pipeline::Pipeline,
    powersync::{PowerSync, Source, StreamDefinition, SyncConfig},
};

/// Parents and children of a store; children come first on the wire, since their stream is more urgent.
async fn family() -> PowerSync {
    let stream = |name: &str, table: &str| {
        StreamDefinition::new(name, table).parameter("store_id", Source::claim("store_id"))
    };
    let config = SyncConfig::streams([
        stream("all_children", "children"),
        stream("all_parents", "parents"),
    ]);
    let service = PowerSync::builder().config(config).start().await.unwrap();
    service.add_store("7");
    for id in ["c1", "c2"] {
        service.put(
            "children",
            json!({ "id": id, "store_id": "7", "parent_id": "p1" }),
        );
    }
    service.put(
        "parents",
        json!({ "id": "p1", "store_id": "7", "name": "one" }),
    );
    service
}

fn raw(name: &str, table: &str, column: &str, ddl: &str) -> Value {
    json!({ "name": name, "ddl": ddl,
        "put": { "sql": format!("INSERT OR REPLACE INTO {table} (id, {column}) VALUES (?, ?)"), "params": ["Id", { "Column": column }] },
        "delete": { "sql": format!("DELETE FROM {table} WHERE id = ?"), "params": ["Id"] } })
}

async fn pipeline(service: &PowerSync, raw_tables: &[Value]) -> (Pipeline, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("schema.json");
    let schema = json!({ "tables": [], "raw_tables": raw_tables });
    std::fs::write(&path, schema.to_string()).unwrap();
    let pipeline =
        Pipeline::start_with(service, |settings| settings.schema.file = Some(path)).await;
    (pipeline, directory)
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_keys_of_a_raw_table_do_not_ask_for_an_order_and_remove_nothing() {
    let service = family().await;
    let tables = [
        raw(
            "children",
            "app_children",
            "parent_id",
            "CREATE TABLE app_children (id TEXT PRIMARY KEY, parent_id TEXT NOT NULL REFERENCES app_parents (id) ON DELETE CASCADE)",
        ),
        raw(
            "parents",
            "app_parents",
            "name",
            "CREATE TABLE app_parents (id TEXT PRIMARY KEY, name TEXT)",
        ),
    ];
    let (mut pipeline, _directory) = pipeline(&service, &tables).await;
    let manifest = pipeline.seed("7").await.unwrap();
    let rows = |manifest: &_| {
        let file = Connection::open(pipeline.file(manifest)).unwrap();
        let counts =
            "SELECT (SELECT count(*) FROM app_children), (SELECT count(*) FROM app_parents)";
        file.query_row(counts, [], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
    };
    assert_eq!(rows(&manifest), (2, 1));

    // The service still holds the children.
    service.remove("parents", "p1");
    let job = testkit::pipeline::job("7", json!({ "store_id": "7" }), Vec::new());
    let manifest = pipeline
        .run(testkit::pipeline::starting_from(&manifest, job))
        .await
        .unwrap();
    let file = Connection::open(pipeline.file(&manifest)).unwrap();
    let counts = "SELECT (SELECT count(*) FROM app_children), (SELECT count(*) FROM app_parents)";
    let left: (i64, i64) = file
        .query_row(counts, [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    assert_eq!(left, (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_counted_in_the_table_that_the_statements_write() {
    let service = family().await;
    // Each type's rows go into the table that has the other's name.
    let tables = [
        raw(
            "children",
            "parents",
            "parent_id",
            "CREATE TABLE parents (id TEXT PRIMARY KEY, parent_id TEXT)",
        ),
        raw(
            "parents",
            "children",
            "name",
            "CREATE TABLE children (id TEXT PRIMARY KEY, name TEXT)",
        ),
    ];
    let (mut pipeline, _directory) = pipeline(&service, &tables).await;
    let manifest = pipeline.seed("7").await.unwrap();
    let mut counted: Vec<_> = manifest
        .tables
        .iter()
        .map(|table| (table.table.as_str(), table.rows))
        .collect();
    counted.sort_unstable();
    assert_eq!(counted, [("children", 1), ("parents", 2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_direct_table_is_refused_at_the_start_with_the_reason() {
    let service = PowerSync::builder().start().await.unwrap();
    let program = testkit::program::Program::new(&service);
    program.write("stores.csv", "store_id\n1\n");
    let columns = json!([{ "name": "name", "type": "text" }]);
    let direct_raw = json!({ "name": "products", "direct": true, "table_name": "products",
        "ddl": "CREATE TABLE products (id TEXT PRIMARY KEY)" });
    for schema in [
        json!({ "tables": [{ "name": "products", "columns": columns, "direct": true }] }),
        json!({ "tables": [], "raw_tables": [direct_raw] }),
    ] {
        let mut program = testkit::program::Program::new(&service);
        program.write("stores.csv", "store_id\n1\n");
        program.write("schema.json", schema.to_string());
        program.set("SCHEMA__FILE", "schema.json");
        let ended = program.run(&["local", "--stores", "stores.csv"]).await;
        assert_eq!(ended.code, Some(2), "{ended}");
        assert!(
            ended.error.contains("\"products\"") && ended.error.contains("direct table"),
            "{ended}"
        );
    }
}
