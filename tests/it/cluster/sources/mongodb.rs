//! From MongoDB's protocol.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use futures::TryStreamExt;
use mongodb::{
    Client,
    bson::{self, Binary, Bson, Document, doc, oid::ObjectId, spec::BinarySubtype},
};
use seedbed::{
    settings::SourceConfig,
    source::{SourceError, Store, StoreSource},
};
use serde_json::{Value, json};
use testkit::{machine::leave_out, servers::MongoDb};

use super::{claims, config, read};

const UUID: &str = "0f2a4c6e-8b1d-4e3f-9a5b-7c8d9e0f1a2b";

/// A server with these documents in the collection `stores`; `None` where there is none.
async fn server(documents: Vec<Document>) -> Option<MongoDb> {
    let Some(server) = MongoDb::start() else {
        leave_out(
            "stores from MongoDB",
            "install Go 1.22 or newer, which builds FerretDB once: apt-get install golang",
        );
        return None;
    };
    let client = Client::with_uri_str(server.url()).await.unwrap();
    let stores = client.database("app").collection::<Document>("stores");
    stores.insert_many(documents).await.unwrap();
    Some(server)
}

/// The settings of a source of `fields` of the collection `stores`.
fn stores_of(url: &str, fields: &[(&str, &str)]) -> SourceConfig {
    let fields = fields
        .iter()
        .map(|(c, f)| ((*c).to_owned(), (*f).to_owned()));
    let fields: BTreeMap<String, String> = fields.collect();
    SourceConfig {
        collection: Some("stores".to_owned()),
        fields: Some(fields),
        ..config(url)
    }
}

fn open(config: &SourceConfig) -> StoreSource {
    StoreSource::new(None, None, config).unwrap()
}

async fn error(config: &SourceConfig) -> SourceError {
    read(&open(config)).await.unwrap_err()
}

fn bytes(subtype: BinarySubtype) -> Bson {
    let hex = UUID.replace('-', "");
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    let bytes = (0..32).step_by(2).map(byte).collect();
    Bson::Binary(Binary { subtype, bytes })
}

#[tokio::test]
async fn mongodb_documents_become_stores_with_typed_claims() {
    let object = ObjectId::new();
    let document = doc! {
        "_id": object, "name": "Größe", "vip": true, "number": 7_i64, "rate": 0.5,
        "at": bson::DateTime::from_millis(1_700_000_000_123), "address": {"city": "Köln", "zip": "50667"}, "tags": ["a", "b"],
        "nothing": Bson::Null,
    };
    let Some(server) = server(vec![document]).await else {
        return;
    };
    let url = server.url();
    let all = SourceConfig {
        store_id: "_id".to_owned(),
        ..stores_of(&url, &[])
    };
    let stores = read(&open(&all)).await.unwrap();
    assert_eq!(stores[0].scope.store_id.as_str(), object.to_hex());
    assert_eq!(
        claims(&stores[0]),
        json!({
            "_id": object.to_hex(), "name": "Größe", "vip": true, "number": 7, "rate": 0.5,
            "at": "2023-11-14T22:13:20.123Z", "address": {"city": "Köln", "zip": "50667"}, "tags": ["a", "b"],
            "nothing": null
        })
    );
    let named = stores_of(
        &url,
        &[
            ("store_id", "_id"),
            ("city", "address.city"),
            ("none", "missing"),
        ],
    );
    let stores = read(&open(&named)).await.unwrap();
    assert_eq!(
        claims(&stores[0]),
        json!({"store_id": object.to_hex(), "city": "Köln", "none": null})
    );
    let error = error(&stores_of(&url, &[("region", "name")])).await;
    assert!(error.to_string().contains("document 1"), "{error}");
    assert!(
        error.to_string().contains("there are \"region\""),
        "{error}"
    );
}

#[tokio::test]
async fn a_mongodb_id_is_what_powersync_has_or_names_the_cast_to_write() {
    let document = doc! {
        "_id": 1, "text": "a", "uuid": bytes(BinarySubtype::Uuid), "bytes": bytes(BinarySubtype::Generic), "double": 42.0,
        "exact": 9_007_199_254_740_991_i64, "big": 9_007_199_254_740_993_i64, "rate": 1.5, "flag": true,
        "at": bson::DateTime::now(), "none": Bson::Null,
    };
    let Some(server) = server(vec![document]).await else {
        return;
    };
    let url = server.url();
    for (field, expected) in [
        ("_id", json!(1)),
        ("text", json!("a")),
        ("uuid", json!(UUID)),
        ("double", json!(42)),
        ("exact", json!(9_007_199_254_740_991_i64)),
        ("big::text", json!("9007199254740993")),
        ("_id::text", json!("1")),
        ("bytes::hex", json!(UUID.replace('-', "").to_uppercase())),
    ] {
        let stores = read(&open(&stores_of(&url, &[("store_id", field)]))).await;
        let claim: Value = claims(&stores.unwrap()[0])["store_id"].clone();
        assert_eq!(claim, expected, "{field}");
    }
    for (field, found, advice) in [
        ("bytes", "Binary", "::hex"),
        ("big", "9007199254740993", "::text"),
        ("at", "DateTime", "source.fields"),
        ("flag", "true or false", "::text"),
        ("rate", "a fraction", "::text"),
        ("none", "null", "store_id"),
    ] {
        let error = error(&stores_of(&url, &[("store_id", field)])).await;
        let is_usage = error.is_usage();
        let error = error.to_string();
        assert!(
            is_usage && error.contains(found) && error.contains(advice),
            "{field}: {error}"
        );
    }
}

#[tokio::test]
async fn a_mongodb_filter_lists_what_has_changed_and_a_long_list_is_streamed() {
    let now = Utc::now();
    let at =
        |hours| bson::DateTime::from_millis((now + TimeDelta::hours(hours)).timestamp_millis());
    let documents =
        (0..2500).map(|n| doc! {"_id": n, "active": n != 0, "at": at(if n < 3 { 0 } else { -9 })});
    let Some(server) = server(documents.collect()).await else {
        return;
    };
    let everything = SourceConfig {
        filter: Some(r#"{"active": true, "at": {"$gt": ":since"}}"#.to_owned()),
        ..stores_of(&server.url(), &[("store_id", "_id")])
    };
    let source = open(&everything);
    assert!(source.knows_changes());
    let count = async |since: DateTime<Utc>| {
        let stores: Vec<Store> = source.stores(since).try_collect().await.unwrap();
        stores.len()
    };
    assert_eq!(count(DateTime::UNIX_EPOCH).await, 2499);
    assert_eq!(count(now - TimeDelta::hours(1)).await, 2);
    assert_eq!(count(now + TimeDelta::hours(1)).await, 0);
    let refused = SourceConfig {
        filter: Some(r#"{"at": {"$nonsense": 1}}"#.to_owned()),
        ..everything
    };
    let error = error(&refused).await;
    assert!(
        error.is_usage() && error.to_string().contains("$nonsense"),
        "{error}"
    );
}

#[tokio::test]
async fn a_wrong_password_is_a_persons_and_a_mongodb_that_is_away_is_not() {
    let Some(server) = server(vec![doc! {"_id": 1}]).await else {
        return;
    };
    let wrong = server.url().replace("hunter2", "hunter3");
    // The password is wrong; the mechanism is unknown to this server.
    for url in [wrong.clone(), wrong.replace("PLAIN", "SCRAM-SHA-256")] {
        let error = error(&stores_of(&url, &[("store_id", "_id")])).await;
        assert!(error.is_usage(), "{error}");
        assert!(error.to_string().contains("refused"), "{error}");
        assert!(!error.to_string().contains("hunter"), "{error}");
    }
    let away = format!("{}&serverSelectionTimeoutMS=300", server.url());
    drop(server);
    let error = read(&open(&stores_of(&away, &[("store_id", "_id")])))
        .await
        .unwrap_err();
    assert!(!error.is_usage(), "{error}");
    let error = error.to_string();
    assert!(
        error.contains("127.0.0.1") && !error.contains("hunter"),
        "{error}"
    );
}
