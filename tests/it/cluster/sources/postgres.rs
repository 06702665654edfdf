//! From PostgreSQL.

use chrono::DateTime;
use futures::TryStreamExt;
use seedbed::source::Store;
use serde_json::json;
use testkit::servers::Postgres;

use super::{
    assert_finds_one_that_changed, assert_refused_with_cast, claims, columns, id, refused, source,
    stores,
};

#[tokio::test]
async fn postgres_rows_become_stores_with_typed_claims() {
    let postgres = Postgres::start();
    postgres.execute(
        "CREATE TABLE stores (id uuid, number bigint, rate numeric, vip boolean, name text, tags text[], extra jsonb);
         INSERT INTO stores VALUES ('00000000-0000-4000-8000-000000000001', 9007199254740993, 1.25, true,
             'Größe', '{a,b}', '{\"k\": 1}');",
    );
    let query = "SELECT vip, id AS store_id, number::text, rate, name, tags, extra, NULL AS nothing FROM stores; -- all; of it's\n";
    let url = postgres.url();
    let stores = stores(&url, query).await.unwrap();
    assert_eq!(
        claims(&stores[0]),
        json!({
            "store_id": "00000000-0000-4000-8000-000000000001", "number": "9007199254740993",
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
async fn a_postgres_id_is_what_powersync_has_or_names_the_cast_to_write() {
    let postgres = Postgres::shared();
    let url = postgres.database();
    postgres.execute_in(
        &url,
        "CREATE EXTENSION citext; CREATE TYPE kind AS ENUM ('shop', 'depot');
         CREATE DOMAIN code AS text; CREATE DOMAIN amount AS numeric(20);",
    );
    for (expression, expected) in [
        ("'7'::text", json!("7")),
        ("'Shop'::citext", json!("Shop")),
        ("'depot'::kind", json!("depot")),
        ("'a'::code", json!("a")),
        ("'x'::char(1)", json!("x")),
        ("'10.1.2.3'::inet", json!("10.1.2.3")),
        ("'2024-01-02'::date", json!("2024-01-02")),
        (
            "'0F2A4C6E-8B1D-4E3F-9A5B-7C8D9E0F1A2B'::uuid",
            json!("0f2a4c6e-8b1d-4e3f-9a5b-7c8d9e0f1a2b"),
        ),
        ("7::int2", json!(7)),
        ("-7::int4", json!(-7)),
        ("9007199254740991::int8", json!(9_007_199_254_740_991_i64)),
        ("9007199254740993::int8::text", json!("9007199254740993")),
        ("42::numeric", json!("42")),
        ("1.50::numeric(5,2)", json!("1.50")),
        (
            "18446744073709551616::numeric",
            json!("18446744073709551616"),
        ),
        (
            "12345678901234567890::amount",
            json!("12345678901234567890"),
        ),
        ("upper(encode('\\x0aff'::bytea, 'hex'))", json!("0AFF")),
    ] {
        let query = format!("SELECT {expression} AS store_id");
        assert_eq!(id(&url, &query).await, expected, "{expression}");
    }
    for (expression, found, cast) in [
        (
            "9007199254740993::int8",
            "9007199254740993",
            "CAST(store_id AS text)",
        ),
        (
            "'\\x0aff'::bytea",
            "bytea",
            "upper(encode(store_id, 'hex'))",
        ),
        ("'\"a\"'::json", "json", "CAST(store_id AS text)"),
        ("'\"a\"'::jsonb", "jsonb", "CAST(store_id AS text)"),
        (
            "now()",
            "timestamp with time zone",
            "CAST(store_id AS text)",
        ),
        (
            "now()::timestamp",
            "timestamp without time zone",
            "CAST(store_id AS text)",
        ),
        ("true", "true or false", "CAST(store_id AS text)"),
        ("1.5::float8", "a fraction", "CAST(store_id AS text)"),
        ("'{a}'::text[]", "a list", "CAST(store_id AS text)"),
    ] {
        let query = format!("SELECT {expression} AS store_id");
        assert_refused_with_cast(&url, &query, found, cast).await;
    }
    let error = refused(&url, "SELECT 1 AS store_id, 9007199254740993 AS region").await;
    assert!(error.contains("CAST(region AS text)"), "{error}");
}

#[tokio::test]
async fn a_postgres_query_is_written_as_people_write_it() {
    let postgres = Postgres::shared();
    let url = postgres.database();
    postgres.execute_in(
        &url,
        "CREATE TABLE stores (id int, name text, changed timestamptz DEFAULT now());
         INSERT INTO stores VALUES (1, 'it''s :since'), (2, 'x');",
    );
    let queries = [
        "SELECT id AS store_id FROM stores WHERE id = 1 AND changed > :since;\n-- it's all",
        "SELECT id AS store_id FROM stores WHERE name = 'it''s :since' AND changed > :since",
        r"SELECT id AS store_id FROM stores WHERE name = E'it\'s :since' AND changed > :since;",
        "SELECT id AS store_id FROM stores WHERE name = $a$it's :since$a$ AND changed > :since -- ;",
        "/* a /* b */ :since */ SELECT id AS store_id, '; \\' AS q FROM stores \
         WHERE id = 1::int AND changed > :since",
    ];
    assert_finds_one_that_changed(&url, &queries).await;
}
