//! From MariaDB, which speaks MySQL's protocol.

use serde_json::json;
use testkit::servers::MariaDb;

use super::{
    assert_finds_one_that_changed, assert_refused_with_cast, claims, columns, id, refused, stores,
};

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

    let error = refused(&url.replace("hunter2", "hunter3"), "SELECT 1 AS store_id").await;
    assert!(
        error.contains("cannot connect") && !error.contains("hunter"),
        "{error}"
    );
}

#[tokio::test]
async fn a_mysql_id_is_what_powersync_has_or_names_the_cast_to_write() {
    let mariadb = MariaDb::start();
    mariadb.execute(
        "USE app;
         CREATE TABLE s (bin VARCHAR(9) COLLATE utf8mb4_bin, c CHAR(3) CHARACTER SET latin1 COLLATE latin1_bin,
             notes LONGTEXT COLLATE utf8mb4_bin, j JSON, u UUID, six INET6, four INET4, kind ENUM('a', 'ö') COLLATE utf8mb4_bin,
             many SET('a', 'b'), tiny TINYINT(1), big BIGINT, huge BIGINT UNSIGNED, exact DECIMAL(30, 2), day DATE,
             sixteen BINARY(16), bytes VARBINARY(9), thing BLOB, flag BIT(1), bits BIT(8), at DATETIME, stamp TIMESTAMP,
             t TIME, born YEAR, ratio DOUBLE, place POINT);
         INSERT INTO s VALUES ('Größe', 'Aé', 'long', '{\"k\":1}', '0F2A4C6E-8B1D-4E3F-9A5B-7C8D9E0F1A2B', '2001:db8::1', '10.1.2.3',
             'ö', 'a,b', 7, 9007199254740993, 18446744073709551615, 12345678901234567890.50, '2024-01-02',
             UNHEX('0F2A4C6E8B1D4E3F9A5B7C8D9E0F1A2B'), 'abc', 'abc', 1, 5, NOW(), NOW(), '01:02:03', 2024, 1.5, POINT(1, 2));",
    );
    let url = mariadb.url();
    for (expression, expected) in [
        ("bin", json!("Größe")),
        ("c", json!("Aé")),
        ("notes", json!("long")),
        ("j", json!("{\"k\":1}")),
        ("u", json!("0f2a4c6e-8b1d-4e3f-9a5b-7c8d9e0f1a2b")),
        ("six", json!("2001:db8::1")),
        ("four", json!("10.1.2.3")),
        ("kind", json!("ö")),
        ("tiny", json!(7)),
        ("big - 2", json!(9_007_199_254_740_991_i64)),
        ("CAST(big AS CHAR)", json!("9007199254740993")),
        ("CAST(huge AS CHAR)", json!("18446744073709551615")),
        ("exact", json!("12345678901234567890.50")),
        ("day", json!("2024-01-02")),
        ("HEX(sixteen)", json!("0F2A4C6E8B1D4E3F9A5B7C8D9E0F1A2B")),
        ("flag + 0", json!(1)),
        ("bits + 0", json!(5)),
        ("CAST(born AS CHAR)", json!("2024")),
    ] {
        let query = format!("SELECT {expression} AS store_id FROM s");
        assert_eq!(id(&url, &query).await, expected, "{expression}");
    }
    for (column, found, cast) in [
        ("big", "9007199254740993", "CAST(store_id AS CHAR)"),
        ("huge", "18446744073709551615", "CAST(store_id AS CHAR)"),
        ("sixteen", "BINARY", "HEX(store_id)"),
        ("sixteen", "BINARY", "BIN_TO_UUID(store_id)"),
        ("bytes", "VARBINARY", "HEX(store_id)"),
        ("thing", "BLOB", "HEX(store_id)"),
        ("flag", "BIT", "store_id + 0"),
        ("bits", "BIT", "store_id + 0"),
        ("at", "DATETIME", "CAST(store_id AS CHAR)"),
        ("stamp", "TIMESTAMP", "CAST(store_id AS CHAR)"),
        ("t", "TIME", "CAST(store_id AS CHAR)"),
        ("born", "YEAR", "CAST(store_id AS CHAR)"),
        ("ratio", "a fraction", "CAST(store_id AS CHAR)"),
        ("place", "GEOMETRY", "ST_AsText(store_id)"),
    ] {
        let query = format!("SELECT {column} AS store_id FROM s");
        assert_refused_with_cast(&url, &query, found, cast).await;
    }
    let rows = stores(
        &url,
        "SELECT 'a' AS store_id, j, u, tiny, many, exact / 1e10 AS rate FROM s",
    );
    assert_eq!(
        claims(&rows.await.unwrap()[0]),
        json!({
            "store_id": "a", "j": "{\"k\":1}", "u": "0f2a4c6e-8b1d-4e3f-9a5b-7c8d9e0f1a2b", "tiny": 7, "many": "a,b",
            "rate": 1_234_567_890.123_456_8
        })
    );
    let error = refused(&url, "SELECT 1 AS store_id, thing FROM s").await;
    assert!(
        error.contains("\"thing\"") && error.contains("HEX(thing)"),
        "{error}"
    );
}

#[tokio::test]
async fn a_mysql_query_is_written_as_people_write_it() {
    let mariadb = MariaDb::start();
    mariadb.execute(
        r"USE app; CREATE TABLE stores (id INT, name VARCHAR(20), changed TIMESTAMP DEFAULT NOW());
         INSERT INTO stores (id, name) VALUES (1, 'it\'s :since'), (2, 'C:\\');",
    );
    let url = mariadb.url();
    let queries = [
        "SELECT id AS store_id FROM stores WHERE id = 1 AND changed > :since;\n-- it's all",
        r"SELECT id AS store_id FROM stores WHERE name = 'it\'s :since' AND changed > :since # ';",
        r#"SELECT id AS store_id FROM stores WHERE name = "C:\\" AND changed > :since;"#,
        r"SELECT id AS store_id FROM stores WHERE name = 'it''s :since' AND changed > :since",
        "SELECT id AS store_id, '?' AS `:since` FROM stores WHERE id = 3--2-4 + 0 AND changed > :since",
    ];
    assert_finds_one_that_changed(&url, &queries).await;
}
