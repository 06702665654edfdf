//! What a snapshot is made of: subscriptions, parameters, claims, and the app's own schema.

use std::path::PathBuf;

use seedbed_protocol::{JsonObject, message::StreamSubscription};
use serde_json::{Value, json};
use testkit::{
    pipeline::{Pipeline, job},
    powersync::{PowerSync, Source, StreamDefinition, SyncConfig},
};

use super::reader::sqlite3;

/// A store's products, and its orders by status on demand.
fn order_streams() -> SyncConfig {
    let claim = || Source::claim("store_id");
    SyncConfig::streams([
        StreamDefinition::new("store_products", "products").parameter("store_id", claim()),
        StreamDefinition::new("orders_by_status", "orders")
            .parameter("status", Source::subscription("status"))
            .parameter("store_id", claim())
            .on_demand(),
    ])
}

async fn service_with_orders() -> PowerSync {
    let service = PowerSync::builder()
        .config(order_streams())
        .start()
        .await
        .unwrap();
    service.add_generated_store("7", 10, 1);
    for (id, status) in [("a", "open"), ("b", "open"), ("c", "closed")] {
        service.put(
            "orders",
            json!({ "id": id, "store_id": "7", "status": status }),
        );
    }
    service
}

pub(super) fn orders(status: &str) -> StreamSubscription {
    let parameters = JsonObject([("status".to_owned(), json!(status))].into_iter().collect());
    StreamSubscription {
        stream: "orders_by_status".to_owned(),
        parameters: Some(parameters),
        priority: Some(1),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn explicit_subscriptions_bring_their_rows_and_outlast_the_snapshots_use() {
    let service = service_with_orders().await;
    let mut pipeline = Pipeline::start(&service).await;
    let manifest = pipeline
        .run(job("7", json!({ "store_id": "7" }), vec![orders("open")]))
        .await
        .unwrap();
    let file = pipeline.file(&manifest);
    assert_eq!(
        sqlite3(
            &file,
            "SELECT group_concat(id) FROM (SELECT id FROM orders ORDER BY id)"
        ),
        "a,b"
    );
    assert_eq!(sqlite3(&file, "SELECT count(*) FROM products"), "10");
    let subscription =
        "SELECT local_params, local_priority, ttl, expires_at - unixepoch() > 89 * 86400
                        FROM ps_stream_subscriptions WHERE stream_name = 'orders_by_status'";
    assert_eq!(
        sqlite3(&file, subscription),
        format!("{}|1|{}|1", r#"{"status":"open"}"#, 90 * 86_400)
    );

    let mut only = job("7", json!({ "store_id": "7" }), vec![orders("closed")]);
    only.default_streams = false;
    let manifest = pipeline.run(only).await.unwrap();
    let tables: Vec<_> = manifest
        .tables
        .iter()
        .map(|table| (table.table.as_str(), table.rows))
        .collect();
    assert_eq!(tables, [("orders", 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_parameters_and_claims_reach_the_service_with_their_types() {
    let service = PowerSync::builder().start().await.unwrap();
    service.add_store("7");
    let mut pipeline = Pipeline::start(&service).await;
    let mut job = job(
        "7",
        json!({ "store_id": "7", "level": 3, "vip": true }),
        Vec::new(),
    );
    job.parameters = JsonObject([("depth".to_owned(), json!(2))].into_iter().collect());
    pipeline.run(job).await.unwrap();
    let request = &service.requests()[0];
    assert_eq!(request.body["parameters"], json!({ "depth": 2 }));
    let claims = &request.claims;
    assert_eq!(
        (&claims["level"], &claims["vip"]),
        (&json!(3), &json!(true))
    );
}

async fn seed_with_schema(schema: Value) -> Result<PathBuf, String> {
    let service = service_with_orders().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("schema.json");
    std::fs::write(&path, schema.to_string()).unwrap();
    let mut pipeline =
        Pipeline::start_with(&service, |settings| settings.schema.file = Some(path)).await;
    let job = job("7", json!({ "store_id": "7" }), vec![orders("open")]);
    let manifest = pipeline.run(job).await.map_err(|failure| failure.message)?;
    let kept = pipeline
        .directory
        .path()
        .parent()
        .unwrap()
        .join(format!("seedbed-test-{}.sqlite", manifest.job_id));
    std::fs::copy(pipeline.file(&manifest), &kept).unwrap();
    Ok(kept)
}

fn products_table() -> Value {
    json!({ "name": "products", "columns": [{ "name": "name", "type": "text" }, { "name": "quantity", "type": "integer" }],
            "indexes": [{ "name": "by_name", "columns": [{ "name": "name", "ascending": true, "type": "text" }] }] })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_apps_own_schema_makes_its_views_indexes_and_raw_tables() {
    let schema = json!({
        "tables": [products_table(), { "name": "drafts", "local_only": true, "columns": [] }],
        "raw_tables": [{
            "name": "orders",
            "ddl": "CREATE TABLE app_orders (id TEXT PRIMARY KEY, status TEXT NOT NULL)",
            "put": { "sql": "INSERT OR REPLACE INTO app_orders (id, status) VALUES (?, ?)", "params": ["Id", { "Column": "status" }] },
            "delete": { "sql": "DELETE FROM app_orders WHERE id = ?", "params": ["Id"] },
            "table_name": "app_orders",
        }],
    });
    let file = seed_with_schema(schema).await.unwrap();
    assert_eq!(sqlite3(&file, "SELECT count(*) FROM products"), "10");
    assert_eq!(
        sqlite3(&file, "SELECT name FROM pragma_table_info('products')"),
        "id\nname\nquantity"
    );
    assert_eq!(
        sqlite3(&file, "SELECT group_concat(id || status) FROM app_orders"),
        "aopen,bopen"
    );
    assert_eq!(
        sqlite3(
            &file,
            "SELECT count(*) FROM sqlite_master WHERE name = 'ps_data__products__by_name'"
        ),
        "1"
    );
    assert_eq!(sqlite3(&file, "SELECT count(*) FROM ps_untyped"), "0");
    std::fs::remove_file(file).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_lacks_a_table_of_the_stream_is_a_permanent_failure() {
    let error = seed_with_schema(json!({ "tables": [products_table()] }))
        .await
        .unwrap_err();
    assert!(
        error.contains("\"orders\" have no table") && error.contains("schema.file"),
        "{error}"
    );
}
