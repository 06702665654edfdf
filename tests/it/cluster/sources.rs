//! Lists of stores from real database servers.

mod mariadb;
mod mongodb;
mod postgres;

use chrono::{DateTime, TimeDelta, Utc};
use futures::TryStreamExt;
use seedbed::{
    settings::SourceConfig,
    source::{SourceError, Store, StoreSource},
};
use seedbed_protocol::settings::Secret;
use serde_json::Value;

/// The settings of a source at `url`, without anything else.
fn config(url: &str) -> SourceConfig {
    SourceConfig {
        url: Some(Secret::new(url)),
        query: None,
        collection: None,
        filter: None,
        fields: None,
        store_id: "store_id".to_owned(),
    }
}

fn source(url: &str, query: &str) -> StoreSource {
    let config = SourceConfig {
        query: Some(query.to_owned()),
        ..config(url)
    };
    StoreSource::new(None, None, &config).unwrap()
}

async fn read(source: &StoreSource) -> Result<Vec<Store>, SourceError> {
    source.stores(DateTime::UNIX_EPOCH).try_collect().await
}

async fn stores(url: &str, query: &str) -> Result<Vec<Store>, SourceError> {
    read(&source(url, query)).await
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

/// The claim with the store's id, of the only store that `query` lists; the store's id is its text.
async fn id(url: &str, query: &str) -> Value {
    let stores = stores(url, query).await.unwrap();
    let claim = claims(&stores[0])["store_id"].clone();
    let text = claim
        .as_str()
        .map_or_else(|| claim.to_string(), str::to_owned);
    assert_eq!(stores[0].scope.store_id.as_str(), text);
    claim
}

/// Each query, over the rows changed since the beginning, finds one store, and over those changed in the future none.
async fn assert_finds_one_that_changed(url: &str, queries: &[&str]) {
    for query in queries {
        let source = source(url, query);
        assert!(source.knows_changes(), "{query}");
        for (since, expected) in [
            (DateTime::UNIX_EPOCH, 1),
            (Utc::now() + TimeDelta::hours(1), 0),
        ] {
            let stores: Vec<Store> = source.stores(since).try_collect().await.unwrap();
            assert_eq!(stores.len(), expected, "{query}");
        }
    }
}

/// A store whose id is this expression is refused, with what was found there and the cast to write.
async fn assert_refused_with_cast(url: &str, query: &str, found: &str, cast: &str) {
    let error = refused(url, query).await;
    assert!(
        error.contains("row 1") && error.contains(found) && error.contains(cast),
        "{query}: {error}"
    );
}
