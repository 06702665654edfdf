//! Sweeps without interruption: what they seed, print and cost.

use std::{collections::BTreeSet, fmt::Write as _, time::Duration};

use rusqlite::Connection;
use serde_json::Value;
use testkit::{powersync::Fault, program::Process};

use super::support::{
    FULL, LOCAL, Listed, assert_nothing_is_left, assert_rows, count, file_of, list, service_with,
    snapshots, summary,
};

#[tokio::test(flavor = "multi_thread")]
async fn every_store_gets_a_verified_snapshot_with_the_rows_of_the_service() {
    let stores = ["berlin", "Köln 1", "empty", "7"];
    let (service, program) = service_with(&["berlin", "Köln 1", "7"], 700).await;
    service.add_store("empty");
    list(&program, &stores);

    let ended = program.run(&LOCAL).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    let summary = summary(&ended);
    for (field, expected) in [("stores", 4), ("seeded", 4), ("failed", 0), ("rows", 2100)] {
        assert_eq!(summary[field], expected, "{field} of {summary}");
    }
    assert_eq!(summary["failures"], Value::Array(Vec::new()));
    assert!(summary["seconds"].is_f64());

    let listed = snapshots(&program, false).await;
    let seeded: BTreeSet<_> = listed
        .iter()
        .map(|l| l.manifest.store_id.as_str())
        .collect();
    assert_eq!(seeded, BTreeSet::from(stores));
    let bytes: u64 = listed.iter().map(|l| l.manifest.bytes()).sum();
    assert_eq!(summary["bytes"], bytes);
    for Listed { manifest, .. } in &listed {
        assert_eq!(summary["run_id"], manifest.run_id.to_string());
        assert_rows(
            &service,
            &file_of(&program, manifest),
            manifest.store_id.as_str(),
        );
        let ended = program.run(&["verify", manifest.store_id.as_str()]).await;
        assert_eq!(ended.code, Some(0), "{ended}");
    }
    assert_nothing_is_left(&program).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_that_fail_are_named_and_keep_their_older_snapshot_and_all_others_are_seeded() {
    let (service, program) = service_with(&["1", "2", "3"], 100).await;
    assert_eq!(program.run(&FULL).await.code, Some(0));
    let before = snapshots(&program, false).await;

    list(&program, &["1", "2", "3", "nobody"]);
    service.faults().always_for("2", Fault::WrongChecksum);
    let ended = program.run(&FULL).await;
    assert_eq!(ended.code, Some(1), "{ended}");
    let summary = summary(&ended);
    assert_eq!(
        (&summary["seeded"], &summary["failed"]),
        (&2.into(), &2.into())
    );
    let failures = summary["failures"].as_array().unwrap();
    for (failure, store, kind, reason) in [
        (&failures[0], "2", "transient", "checksum"),
        (&failures[1], "nobody", "permanent", "select no bucket"),
    ] {
        assert_eq!(
            (&failure["store_id"], &failure["kind"]),
            (&store.into(), &kind.into())
        );
        let message = failure["message"].as_str().unwrap();
        assert!(message.contains(reason), "{message}");
    }
    let after = snapshots(&program, false).await;
    let live = |listed: &[Listed], store: &str| {
        let live = listed
            .iter()
            .find(|l| l.manifest.store_id.as_str() == store);
        live.map(|l| l.manifest.job_id)
    };
    assert_eq!(live(&after, "2"), live(&before, "2"), "the older one stays");
    assert_eq!(live(&after, "nobody"), None);
    for store in ["1", "3"] {
        assert_ne!(
            live(&after, store),
            live(&before, store),
            "a newer one took over"
        );
    }
    assert_nothing_is_left(&program).await;

    // The same for people.
    let ended = program
        .run(&["local", "--full", "--stores", "stores.csv"])
        .await;
    assert_eq!(ended.code, Some(1), "{ended}");
    for (store, reason) in [("2", "checksum"), ("nobody", "select no bucket")] {
        let start = format!("failed: {store} (sync");
        let line = ended.error.lines().find(|line| line.starts_with(&start));
        assert!(line.is_some_and(|line| line.contains(reason)), "{ended}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn serving_seeds_again_and_again_until_it_is_told_to_stop() {
    let (service, program) = service_with(&["1", "2", "3"], 100).await;
    let arguments = [&LOCAL[..], &["--serve", "--interval", "1s"]].concat();
    let mut process = program.start(&arguments);
    let runs = |process: &Process| process.output().matches(r#""type":"summary""#).count();
    process
        .until("the first run ends", |process| runs(process) == 1)
        .await;
    service.put("products", r#"{"id":"new","store_id":"2","name":"new"}"#);
    process
        .until("the second run ends", |process| runs(process) == 2)
        .await;
    process.signal("TERM");
    let ended = process.end().await;
    assert_eq!(ended.code, Some(0), "{ended}");
    assert_nothing_is_left(&program).await;

    let listed = snapshots(&program, true).await;
    for store in ["1", "2", "3"] {
        let of_store = listed
            .iter()
            .filter(|l| l.manifest.store_id.as_str() == store);
        // Sorted: the newest first.
        let of_store: Vec<_> = of_store.collect();
        let states: Vec<_> = of_store
            .iter()
            .map(|listed| listed.state.as_str())
            .collect();
        // Of a store that has not changed, the first one is as good as new.
        let expected: &[&str] = match store {
            "2" => &["live", "superseded"],
            _ => &["live"],
        };
        assert_eq!(states, expected);
        assert_rows(&service, &file_of(&program, &of_store[0].manifest), store);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_stores_cost_no_memory_in_proportion() {
    const STORES: u32 = 100_000;
    let (_service, program) = service_with(&[], 0).await;
    // 30 MB of claims.
    let padding = "x".repeat(250);
    let mut stores = String::new();
    for store in 0..STORES {
        writeln!(
            stores,
            r#"{{"store_id":"store-{store}","region":"{padding}"}}"#
        )
        .unwrap();
    }
    // Found at the very end, so that nothing is seeded.
    stores.push_str("{\"store_id\":\"store-0\"}\n");
    program.write("stores.ndjson", stores);

    let mut process = program.start(&["local", "--stores", "stores.ndjson"]);
    let mut peak = 0;
    while process.is_running() {
        peak = peak.max(process.peak_memory().unwrap_or_default());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let ended = process.end().await;
    assert_eq!(ended.code, Some(2), "{ended}");
    assert!(
        ended
            .error
            .contains("\"store-0\" is listed twice, at 1 and at 100001"),
        "{ended}"
    );
    assert!((1..100 * 1024).contains(&peak), "{peak} KiB");
    assert_eq!(count(&program, "SELECT count(*) FROM jobs"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_apps_schema_shapes_the_snapshots_and_verify_knows_it() {
    let (_service, mut program) = service_with(&["1"], 20).await;
    let schema = serde_json::json!({ "tables": [], "raw_tables": [{
        "name": "products",
        "ddl": "CREATE TABLE app_products (id TEXT PRIMARY KEY, name TEXT)",
        "table_name": "app_products",
        "put": { "sql": "INSERT OR REPLACE INTO app_products (id, name) VALUES (?, ?)", "params": ["Id", { "Column": "name" }] },
        "delete": { "sql": "DELETE FROM app_products WHERE id = ?", "params": ["Id"] },
    }] });
    program.write("schema.json", schema.to_string());
    program.set("SCHEMA__FILE", "schema.json");
    let ended = program.run(&LOCAL).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    let listed = snapshots(&program, false).await;
    let snapshot = Connection::open(file_of(&program, &listed[0].manifest)).unwrap();
    let rows = "SELECT count(*) FROM app_products WHERE name IS NOT NULL";
    let rows: i64 = snapshot.query_row(rows, [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 20);
    let ended = program.run(&["verify", "1"]).await;
    assert_eq!(ended.code, Some(0), "{ended}");
}

/// A table of a schema file with every part that shows in a database.
fn table(name: &str, view: &str, flags: &[&str]) -> serde_json::Value {
    let mut table = serde_json::json!({
        "name": name,
        "view_name": view,
        "columns": [
            { "name": "name", "type": "TEXT" },
            { "name": "the \"odd\" one's", "type": "INTEGER" },
            { "name": "price", "type": "REAL" },
        ],
        "indexes": [{ "name": "newest", "columns": [
            { "name": "the \"odd\" one's", "ascending": false, "type": "INTEGER" },
            { "name": "name", "ascending": true, "type": "TEXT" },
        ] }],
    });
    for flag in [
        "local_only",
        "insert_only",
        "include_old",
        "include_old_only_when_changed",
        "include_metadata",
        "ignore_empty_update",
    ] {
        table[flag] = flags.contains(&flag).into();
    }
    table
}

#[tokio::test(flavor = "multi_thread")]
async fn the_apps_schema_is_read_back_from_a_snapshot() {
    let (_service, mut program) = service_with(&["1"], 20).await;
    let tables = [
        table("products", "all_products", &[]),
        table("drafts", "drafts", &["local_only"]),
        table("logs", "logs", &["insert_only"]),
        table("notes", "notes", &["include_metadata"]),
    ];
    let schema = serde_json::json!({ "tables": tables, "raw_tables": [] });
    program.write("schema.json", schema.to_string());
    program.set("SCHEMA__FILE", "schema.json");
    let ended = program.run(&LOCAL).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    let listed = snapshots(&program, false).await;
    let file = file_of(&program, &listed[0].manifest);
    let before = std::fs::read(&file).unwrap();
    let read = program
        .run(&["schema", "--from-snapshot", file.to_str().unwrap()])
        .await;
    assert_eq!(read.code, Some(0), "{read}");
    let found: serde_json::Value = serde_json::from_str(&read.output).unwrap();
    // The core extension makes views in an order of its own.
    let by_name = |schema: &serde_json::Value| {
        let mut tables = schema["tables"].as_array().unwrap().clone();
        tables.sort_by_key(|table| table["name"].to_string());
        tables
    };
    assert_eq!(by_name(&found), by_name(&schema));
    assert!(read.error.contains("does not show"), "{read}");
    assert!(
        std::fs::read(&file).unwrap() == before,
        "the snapshot was changed"
    );
}
