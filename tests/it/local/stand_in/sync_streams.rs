//! Sync Streams: several buckets a client, priorities, subscriptions.

use super::client::{FORMATS, Format, Lines, download, kinds, operations};
use super::recordings;
use serde_json::{Map, Value, json};
use std::path::Path;
use testkit::powersync::{PowerSync, Source, StreamDefinition, SyncConfig};

const STORE_31: &str = "00000000-0000-4000-8000-000000000031";
const STORE_32: &str = "00000000-0000-4000-8000-000000000032";

/// The config of the recordings, `sync-streams.edition3.yaml`.
fn recorded_config() -> SyncConfig {
    let store = || Source::claim("store_id");
    let status = || Source::subscription("status");
    let price = |row: &Map<String, Value>| row.get("price")?.as_str()?.parse::<f64>().ok();
    let orders = Source::lookup("orders", "id")
        .matching("status", status())
        .matching("store_id", store());
    SyncConfig::streams([
        StreamDefinition::new("store_products", "products").parameter("store_id", store()),
        StreamDefinition::new("premium_products", "products")
            .parameter("store_id", store())
            .filter(move |row| price(row).is_some_and(|price| price > 400.0)),
        StreamDefinition::new("categories", "categories").priority(1),
        StreamDefinition::new("store_orders", "orders")
            .priority(2)
            .parameter("store_id", store()),
        StreamDefinition::new("orders_by_status", "orders")
            .on_demand()
            .parameter("status", status())
            .parameter("store_id", store()),
        StreamDefinition::new("order_details", "order_items")
            .on_demand()
            .parameter("order_id", orders),
    ])
}

async fn start() -> PowerSync {
    PowerSync::builder()
        .config(recorded_config())
        .start()
        .await
        .expect("a free port")
}

/// The operations of a recording by id, grouped by the source change that made them: the same row, at most one
/// operation that the recording does not show in between.
fn changes(lines: &[Value]) -> Vec<Vec<&Value>> {
    let id = |operation: &Value| {
        operation["op_id"]
            .as_str()
            .and_then(|id| id.parse::<u64>().ok())
            .unwrap_or(0)
    };
    let mut operations = operations(lines);
    operations.sort_by_key(|operation| id(operation));
    let mut changes: Vec<Vec<&Value>> = Vec::new();
    for operation in operations {
        match changes.last_mut() {
            Some(change)
                if change[0]["object_id"] == operation["object_id"]
                    && id(operation) - id(change[change.len() - 1]) <= 2 =>
            {
                change.push(operation);
            }
            _ => changes.push(vec![operation]),
        }
    }
    changes
}

/// Repeats the changes of a recording that it made after one operation and up to another.
fn repeat_changes(service: &PowerSync, lines: &[Value], after: u64, up_to: u64) {
    service.write(|rows| {
        for change in changes(lines) {
            let put = change.iter().find(|operation| operation["op"] == "PUT");
            let mut operation = Value::clone(put.unwrap_or(&change[0]));
            operation["op_id"] = change[0]["op_id"].clone();
            let first = operation["op_id"]
                .as_str()
                .and_then(|id| id.parse().ok())
                .expect("an id");
            if (after + 1..=up_to).contains(&first) {
                recordings::repeat(rows, &operation);
            }
        }
        rows.set_next_op_id(up_to + 1);
    });
}

/// A service with the rows of store 31.
async fn service_31(folder: &Path) -> PowerSync {
    let service = start().await;
    let recorded = recordings::lines(folder, "streams/store31-subs", Format::Ndjson);
    repeat_changes(&service, &recorded, 0, recordings::last_op_id(&recorded[0]));
    service
}

#[tokio::test]
async fn default_and_explicit_streams_send_the_recorded_lines() {
    let Some(folder) = testkit::recordings::recordings() else {
        return;
    };
    let service = service_31(&folder).await;
    for name in [
        "store31-default",
        "store31-subs",
        "store31-subs-only",
        "store31-subs-override-default",
        "store31-subs-errors",
        "store31-subs-added",
        "store31-subs-dropped",
        "store31-resume-middle",
        "store31-resume-uptodate",
    ] {
        let name = format!("streams/{name}");
        for format in FORMATS {
            let request = recordings::request(&folder, &name);
            let sent = download(&service, STORE_31, &request, format).await;
            let recorded = recordings::lines(&folder, &name, format);
            recordings::assert_same(&sent, &recorded, &format!("{name} as {format:?}"));
        }
    }
}

#[tokio::test]
async fn a_change_that_moves_rows_between_buckets_arrives_as_recorded() {
    let Some(folder) = testkit::recordings::recordings() else {
        return;
    };
    let name = "streams/store32-subs-live";
    for format in FORMATS {
        let recorded = recordings::lines(&folder, name, format);
        let second = recorded
            .iter()
            .position(|line| line.get("checkpoint_diff").is_some());
        let before = recordings::last_op_id(&recorded[0]);
        let after = recordings::last_op_id(&recorded[second.expect("a second checkpoint")]);
        let service = start().await;
        repeat_changes(&service, &recorded, 0, before);
        let request = recordings::request(&folder, name);
        let mut stream = Lines::open(&service, STORE_32, &request, format).await;
        let mut sent = stream.until_complete().await;
        repeat_changes(&service, &recorded, before, after);
        sent.extend(stream.until_complete().await);
        recordings::assert_same(&sent, &recorded, &format!("{name} as {format:?}"));
    }
}

/// Two products (one of them premium), a category and two orders of one store.
async fn small_service() -> PowerSync {
    let service = start().await;
    service.write(|rows| {
        rows.put(
            "products",
            json!({"id": "p1", "store_id": "s", "price": "10.00"}),
        );
        rows.put(
            "products",
            json!({"id": "p2", "store_id": "s", "price": "500.00"}),
        );
        rows.put("categories", json!({"id": "c1"}));
        rows.put(
            "orders",
            json!({"id": "o1", "store_id": "s", "status": "pending"}),
        );
        rows.put(
            "orders",
            json!({"id": "o2", "store_id": "s", "status": "shipped"}),
        );
        rows.put("order_items", json!({"id": "i1", "order_id": "o1"}));
    });
    service
}

fn bucket_names(checkpoint: &Value) -> Vec<&str> {
    let buckets = checkpoint["checkpoint"]["buckets"]
        .as_array()
        .expect("buckets");
    buckets
        .iter()
        .filter_map(|bucket| bucket["bucket"].as_str())
        .collect()
}

#[tokio::test]
async fn data_comes_by_priority_and_every_group_but_the_last_ends_with_a_partial_completion() {
    let service = small_service().await;
    let lines = download(&service, "s", &json!({}), Format::Bson).await;
    assert_eq!(
        bucket_names(&lines[0]),
        [
            "2#store_products|0[\"s\"]",
            "2#premium_products|0[\"s\"]",
            "2#categories|0[]",
            "2#store_orders|0[\"s\"]"
        ]
    );
    assert_eq!(
        kinds(&lines),
        [
            "checkpoint",
            "data",
            "partial_checkpoint_complete",
            "data",
            "partial_checkpoint_complete",
            "data",
            "data",
            "checkpoint_complete"
        ]
    );
    assert_eq!(lines[1]["data"]["bucket"], "2#categories|0[]");
    assert_eq!(lines[2]["partial_checkpoint_complete"]["priority"], 1);
    assert_eq!(lines[4]["partial_checkpoint_complete"]["priority"], 2);
}

#[tokio::test]
async fn a_row_in_two_buckets_has_the_same_checksum_and_subkey_in_both() {
    let service = small_service().await;
    let lines = download(&service, "s", &json!({}), Format::Ndjson).await;
    let operations = operations(&lines);
    let twice: Vec<_> = operations
        .iter()
        .filter(|operation| operation["object_id"] == "p2")
        .collect();
    assert_eq!(twice.len(), 2);
    assert_eq!(twice[0]["checksum"], twice[1]["checksum"]);
    assert_eq!(twice[0]["subkey"], twice[1]["subkey"]);
    assert_eq!(service.rows("s").count(), 5, "the service counts it once");
}

#[tokio::test]
async fn subscriptions_select_buckets_by_parameter_and_by_lookup() {
    let service = small_service().await;
    let subscriptions = json!([
        {"stream": "orders_by_status", "parameters": {"status": "pending"}},
        {"stream": "order_details", "parameters": {"status": "pending"}, "override_priority": 0},
        {"stream": "store_orders", "override_priority": 1},
        {"stream": "orders_by_status", "parameters": {}},
        {"stream": "no_such_stream"},
    ]);
    let request = json!({"streams": {"include_defaults": true, "subscriptions": subscriptions}});
    let lines = download(&service, "s", &request, Format::Ndjson).await;
    let buckets = lines[0]["checkpoint"]["buckets"]
        .as_array()
        .expect("buckets");
    let of = |name: &str| {
        buckets
            .iter()
            .find(|bucket| bucket["bucket"] == name)
            .expect("the bucket")
    };
    assert_eq!(
        of("2#orders_by_status|0[\"pending\",\"s\"]")["subscriptions"],
        json!([{"sub": 0}])
    );
    assert_eq!(of("2#order_details|0[\"o1\"]")["priority"], 0);
    let orders = of("2#store_orders|0[\"s\"]");
    assert_eq!(orders["subscriptions"], json!([{"sub": 2}, {"default": 3}]));
    assert_eq!(orders["priority"], 1);
    assert_eq!(buckets.len(), 6);
    assert_eq!(lines[1]["data"]["bucket"], "2#order_details|0[\"o1\"]");

    let claims = Map::from_iter([("store_id".to_owned(), json!("s"))]);
    assert_eq!(service.rows_for(&claims, &subscriptions).count(), 6);
}

#[tokio::test]
async fn a_new_checkpoint_breaks_into_a_low_priority_and_the_broken_bucket_goes_on() {
    let service = start().await;
    let description = "x".repeat(300_000);
    service.write(|rows| {
        rows.put("categories", json!({"id": "c1"}));
        for number in 0..1100 {
            // The first thousand are small; the others are more than any socket's buffers hold.
            let description = if number < 1000 { "" } else { &description };
            let id = format!("p{number:04}");
            rows.put(
                "products",
                json!({"id": id, "store_id": "s", "description": description}),
            );
        }
    });
    let request = json!({"raw_data": true});
    let mut stream = Lines::open(&service, "s", &request, Format::Bson).await;
    let mut lines = Vec::new();
    while operations(&lines).len() < 1001 {
        lines.push(stream.next().await.expect("the stream goes on"));
    }
    service.put("categories", json!({"id": "c2"}));
    lines.extend(stream.until_complete().await);

    let second = lines
        .iter()
        .position(|line| line.get("checkpoint_diff").is_some())
        .expect("a second checkpoint");
    assert!(
        !kinds(&lines[..second]).contains(&"checkpoint_complete"),
        "the first one is never completed"
    );
    let updated = lines[second]["checkpoint_diff"]["updated_buckets"]
        .as_array()
        .expect("buckets");
    assert_eq!(
        updated.len(),
        1,
        "the broken bucket is not in the difference"
    );
    assert_eq!(updated[0]["bucket"], "2#categories|0[]");
    let rest = &lines[second..];
    assert_eq!(
        rest[1]["data"]["bucket"], "2#categories|0[]",
        "the news come first"
    );
    assert_eq!(rest[2]["partial_checkpoint_complete"]["priority"], 1);
    // The empty bucket of orders was not seen to its end either, so its priority is reported again, as recorded.
    assert_eq!(rest[3]["partial_checkpoint_complete"]["priority"], 2);
    assert_eq!(rest[4]["data"]["bucket"], "2#store_products|0[\"s\"]");
    let products = operations(&lines)
        .into_iter()
        .filter(|operation| operation["object_type"] == "products");
    assert_eq!(products.count(), 1100, "every product arrives exactly once");
}
