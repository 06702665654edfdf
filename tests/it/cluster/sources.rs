//! Lists of stores from real database servers.

use chrono::DateTime;
use futures::TryStreamExt;
use seedbed::{
    settings::SourceConfig,
    source::{SourceError, Store, StoreSource},
};
use seedbed_protocol::settings::Secret;
use serde_json::{Value, json};
use testkit::servers::{MariaDb, Postgres};

fn source(url: &str, query: &str) -> StoreSource {
    let config = SourceConfig {
        url: Some(Secret::new(url)),
        query: Some(query.to_owned()),
        store_id: "store_id".to_owned(),
    };
    StoreSource::new(None, None, &config).unwrap()
}

async fn stores(url: &str, query: &str) -> Result<Vec<Store>, SourceError> {
    source(url, query)
        .stores(DateTime::UNIX_EPOCH)
        .try_collect()
        .await
}

async fn refused(url: &str, query: &str) -> String {
    stores(url, query).await.unwrap_err().to_string()
}

fn claims(store: &Store) -> Value {
    Value::Object(store.scope.claims.0.clone())
}

fn columns(store: &Store) -> Vec<&str> {
    store.scope.claims.0.keys().map(String::as_str).collect()
}

#[tokio::test]
async fn postgres_rows_become_stores_with_typed_claims() {
    let postgres = Postgres::start();
    postgres.execute(
        "CREATE TABLE stores (id uuid, number bigint, rate numeric, vip boolean, name text, tags text[], extra jsonb);
         INSERT INTO stores VALUES ('00000000-0000-4000-8000-000000000001', 9007199254740993, 1.25, true,
             'Größe', '{a,b}', '{\"k\": 1}');",
    );
    let query = "SELECT vip, id AS store_id, number, rate, name, tags, extra, NULL AS nothing FROM stores; -- all\n";
    let url = postgres.url();
    // A comment behind the semicolon is part of the statement; only a trailing semicolon is taken off.
    let error = refused(&url, query).await;
    assert!(error.contains("source.query"), "{error}");

    let stores = stores(&url, query.trim_end_matches("; -- all\n"))
        .await
        .unwrap();
    assert_eq!(
        claims(&stores[0]),
        json!({
            "store_id": "00000000-0000-4000-8000-000000000001", "number": 9_007_199_254_740_993_i64,
            "rate": 1.25, "vip": true, "name": "Größe", "tags": ["a", "b"], "extra": {"k": 1},
            "nothing": null
        })
    );
    assert_eq!(columns(&stores[0])[..2], ["vip", "store_id"]);
    assert_eq!(
        stores[0].scope.store_id.as_str(),
        "00000000-0000-4000-8000-000000000001"
    );
}

#[tokio::test]
async fn a_long_list_from_postgres_is_streamed() {
    let postgres = Postgres::start();
    let query = "SELECT generate_series(1, 1000000000) AS store_id -- more than fits anywhere";
    let source = source(&postgres.url(), query);
    let first: Vec<Store> = futures::StreamExt::take(source.stores(DateTime::UNIX_EPOCH), 3)
        .try_collect()
        .await
        .unwrap();
    let ids: Vec<_> = first.iter().map(|s| s.scope.store_id.as_str()).collect();
    assert_eq!(ids, ["1", "2", "3"]);
}

#[tokio::test]
async fn what_is_wrong_with_a_postgres_source_is_said() {
    let postgres = Postgres::start();
    let url = postgres.url();
    let error = refused(&url, "SELECT 1 AS id, 2 AS region").await;
    assert!(
        error.contains("\"store_id\"") && error.contains("\"id\", \"region\""),
        "{error}"
    );
    let error = refused(
        &url,
        "SELECT g AS store_id, 1 / (g - 2) AS x FROM generate_series(1, 5) g",
    )
    .await;
    assert!(error.contains("division by zero"), "{error}");
    let error = refused(&url, "SELECT 1 AS store_id, 2 AS exp").await;
    assert!(
        error.contains("row 1") && error.contains("rename the column"),
        "{error}"
    );
    let (closed, _) = (url.replace("127.0.0.1", "127.0.0.2"), postgres);
    let error = refused(&closed, "SELECT 1 AS store_id").await;
    assert!(
        error.contains("cannot connect") && error.contains("127.0.0.2"),
        "{error}"
    );
    assert!(!error.contains("unused"), "{error}");
}

#[tokio::test]
async fn mysql_rows_become_stores_with_typed_claims() {
    let mariadb = MariaDb::start();
    mariadb.execute(
        "USE app;
         CREATE TABLE stores (id INT UNSIGNED, big BIGINT, tiny TINYINT, rate DECIMAL(6,2), ratio DOUBLE, part FLOAT,
             vip BOOLEAN, name VARCHAR(50), notes TEXT, kind ENUM('a','b'), since DATE, seen DATETIME, born YEAR);
         INSERT INTO stores VALUES (4294967295, -5, 3, 1.25, 0.5, 0.25, TRUE, 'Größe', 'n', 'b', '2024-01-02',
             '2024-01-02 03:04:05', 2024);",
    );
    let url = mariadb.url();
    let rows = stores(
        &url,
        "SELECT big, id AS store_id, tiny, rate, ratio, part, vip, name, notes, kind, since, \
        seen, born, NULL AS nothing FROM stores;",
    )
    .await
    .unwrap();
    assert_eq!(
        claims(&rows[0]),
        json!({
            "store_id": 4_294_967_295_u32, "big": -5, "tiny": 3, "rate": 1.25, "ratio": 0.5, "part": 0.25,
            "vip": true, "name": "Größe", "notes": "n", "kind": "b", "since": "2024-01-02",
            "seen": "2024-01-02T03:04:05", "born": 2024, "nothing": null
        })
    );
    assert_eq!(columns(&rows[0])[..2], ["big", "store_id"]);

    let error = refused(&url, "SELECT 1 AS store_id, CAST('x' AS BINARY) AS logo").await;
    assert!(
        error.contains("\"logo\"") && error.contains("CAST(logo AS"),
        "{error}"
    );
    let error = refused(&url.replace("hunter2", "hunter3"), "SELECT 1 AS store_id").await;
    assert!(
        error.contains("cannot connect") && !error.contains("hunter"),
        "{error}"
    );
}
