//! Rows that no client can read are named, and refused if the settings say so.

use serde_json::{Value, json};
use testkit::{
    powersync::{PowerSync, Replay},
    program::{Ended, Program},
};

const SEED: [&str; 4] = ["local", "--json", "--stores", "stores.csv"];

/// A schema with a column of its own.
const SCHEMA: &str =
    r#"{"tables":[{"name":"products","columns":[{"name":"name","type":"text"}]}]}"#;

/// A store's stream with these rows, each as the text of its JSON.
fn stream(rows: &[(&str, &str)]) -> Replay {
    let count = rows.len();
    let bucket = json!({ "bucket": "1#b[]", "checksum": count, "count": count, "priority": 3 });
    let operations: Vec<Value> = rows
        .iter()
        .zip(1..)
        .map(|((id, data), op)| {
            json!({ "op_id": op.to_string(), "op": "PUT", "object_type": "products", "object_id": id,
                "checksum": 1, "subkey": "s", "data": data })
        })
        .collect();
    let last = count.to_string();
    let lines = [
        json!({ "checkpoint": { "last_op_id": last, "buckets": [bucket] } }),
        json!({ "data": { "bucket": "1#b[]", "after": "0", "has_more": false, "data": operations, "next_after": last } }),
        json!({ "checkpoint_complete": { "last_op_id": last } }),
    ];
    let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
    Replay::new(body, "application/x-ndjson")
}

/// Seeds a store with these rows.
async fn seed(rows: &[(&str, &str)], settings: &[(&str, &str)]) -> (Program, Ended) {
    let service = PowerSync::builder().start().await.unwrap();
    service.replay(stream(rows));
    let mut program = Program::new(&service);
    for (name, value) in settings {
        program.set(name, *value);
    }
    program.write("schema.json", SCHEMA);
    program.write("stores.csv", "store_id\nshop-7\n");
    let ended = program.run(&SEED).await;
    (program, ended)
}

fn deep() -> String {
    format!(r#"{{"name":{}{}}}"#, "[".repeat(1_100), "]".repeat(1_100))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_no_client_can_read_is_named_by_the_job_and_by_verify() {
    let deep = deep();
    for (row, reason) in [
        (r#"{"name":"a"} and more"#, "malformed JSON"),
        (r#"{"name":"#, "malformed JSON"),
        (r#"{"name":"a","":"b"}"#, "without a name"),
        (deep.as_str(), "malformed JSON"),
        ("[]", "no object"),
    ] {
        let rows = [("good", r#"{"name":"a"}"#), ("bad", row), ("fine", "{}")];
        let (program, ended) = seed(&rows, &[("SCHEMA__FILE", "schema.json")]).await;
        assert_eq!(ended.code, Some(0), "{row:.40}: {ended}");
        let named = |text: &str| {
            ["shop-7", "products", "bad", reason]
                .iter()
                .all(|part| text.contains(part))
        };
        assert!(named(&ended.error), "{row:.40}: {}", ended.error);
        let ended = program.run(&["verify", "shop-7"]).await;
        assert_eq!(ended.code, Some(0), "{row:.40}: {ended}");
        assert!(named(&ended.output), "{row:.40}: {}", ended.output);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_no_client_can_read_is_refused_if_that_is_set() {
    let refuse = ("SNAPSHOTS__UNREADABLE_ROWS", "refuse");
    let rows = [("bad", r#"{"name":"a"} and more"#)];
    let (_program, ended) = seed(&rows, &[("SCHEMA__FILE", "schema.json"), refuse]).await;
    assert_eq!(ended.code, Some(1), "{ended}");
    let failure = ended.objects().pop().unwrap()["failures"][0].clone();
    assert_eq!(
        (&failure["kind"], &failure["step"]),
        (&json!("permanent"), &json!("verify"))
    );
    let message = failure["message"].as_str().unwrap();
    assert!(
        ["products", "\"bad\"", "snapshots.unreadable_rows"]
            .iter()
            .all(|part| message.contains(part)),
        "{message}"
    );
    let (mut program, ended) = seed(&rows, &[("SCHEMA__FILE", "schema.json")]).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    program.set(refuse.0, refuse.1);
    let ended = program.run(&["verify", "shop-7"]).await;
    assert_ne!(ended.code, Some(0), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inferred_table_has_no_column_that_would_break_every_row() {
    let rows = [
        ("one", r#"{"name":"a","":"b","\"":"c"}"#),
        ("two", r#"{"name":"d"}"#),
    ];
    let (program, ended) = seed(&rows, &[]).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    assert!(ended.error.contains("without a name"), "{}", ended.error);
    let ended = program.run(&["snapshots", "--json"]).await;
    let key = ended.objects()[0]["renditions"][0]["key"].clone();
    let file = program
        .path("seedbed-data/snapshots")
        .join(key.as_str().unwrap());
    let snapshot = rusqlite::Connection::open(file).unwrap();
    let names = "SELECT group_concat(name) FROM (SELECT name FROM products ORDER BY id)";
    let names: String = snapshot.query_row(names, [], |row| row.get(0)).unwrap();
    assert_eq!(names, "a,d");
}
