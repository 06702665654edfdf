//! Changes while clients are connected.

use super::client::{FORMATS, Format, Lines, download, first_request, kinds, operations};
use serde_json::{Value, json};
use testkit::powersync::PowerSync;

async fn start() -> PowerSync {
    let service = PowerSync::builder().start().await.expect("a free port");
    service.add_generated_store("a", 3, 7);
    service.add_generated_store("b", 3, 7);
    service
}

#[tokio::test]
async fn a_transaction_arrives_as_one_difference() {
    for format in FORMATS {
        let service = start().await;
        let mut stream = Lines::open(&service, "a", &first_request(), format).await;
        stream.until_complete().await;
        let gone = service.rows("a").next().expect("a row").id;
        service.write(|rows| {
            rows.put("products", json!({"id": "new", "store_id": "a"}));
            assert!(rows.remove("products", &gone));
        });
        let lines = stream.until_complete().await;
        assert_eq!(
            kinds(&lines),
            ["checkpoint_diff", "data", "checkpoint_complete"]
        );
        let difference = &lines[0]["checkpoint_diff"];
        assert_eq!(difference["removed_buckets"], json!([]));
        assert_eq!(difference["updated_buckets"][0]["count"], 5);
        assert_eq!(difference["last_op_id"], service.last_op_id().to_string());
        let done: Vec<_> = operations(&lines)
            .iter()
            .map(|operation| operation["op"].clone())
            .collect();
        assert_eq!(done, ["PUT", "REMOVE"]);
    }
}

#[tokio::test]
async fn changes_of_another_store_say_nothing() {
    let service = start().await;
    let mut stream = Lines::open(&service, "a", &first_request(), Format::Bson).await;
    stream.until_complete().await;
    service.put("products", json!({"id": "elsewhere", "store_id": "b"}));
    service.put("products", json!({"id": "here", "store_id": "a"}));
    let lines = stream.until_complete().await;
    assert_eq!(operations(&lines).len(), 1);
    assert_eq!(operations(&lines)[0]["object_id"], "here");
}

#[tokio::test]
async fn a_store_that_disappears_takes_its_bucket_with_it() {
    let service = start().await;
    let mut stream = Lines::open(&service, "a", &first_request(), Format::Ndjson).await;
    let bucket = stream.until_complete().await[0]["checkpoint"]["buckets"][0]["bucket"].clone();
    assert!(service.remove("stores", "a"));
    let lines = stream.until_complete().await;
    assert_eq!(
        lines[0]["checkpoint_diff"]["removed_buckets"],
        json!([bucket])
    );
    service.add_store("a");
    let lines = stream.until_complete().await;
    assert_eq!(operations(&lines).len(), 3, "it comes back from the start");
}

#[tokio::test]
async fn a_redeployed_config_ends_open_streams_and_renames_buckets_and_subkeys() {
    let service = start().await;
    let mut stream = Lines::open(&service, "a", &first_request(), Format::Bson).await;
    let before = stream.until_complete().await;
    service.redeploy();
    assert_eq!(stream.next().await, None::<Value>);
    let mut known = first_request();
    let old_name = before[0]["checkpoint"]["buckets"][0]["bucket"].clone();
    known["buckets"] = json!([{"name": old_name, "after": before[0]["checkpoint"]["last_op_id"]}]);
    let after = download(&service, "a", &known, Format::Bson).await;
    assert_eq!(
        after[0]["checkpoint"]["buckets"][0]["bucket"],
        "2#store_products[\"a\"]"
    );
    let (old, new) = (operations(&before), operations(&after));
    assert_eq!(new.len(), 3, "everything is downloaded again");
    assert_eq!(old[0]["object_id"], new[0]["object_id"]);
    assert_ne!(old[0]["subkey"], new[0]["subkey"]);
}
