//! A running service, as a test controls it: its rows, faults and counters, and its end.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
};

use serde_json::{Map, Value, json};
use tokio::task::JoinHandle;

use crate::{
    data::{
        checkpoint::Checkpoint, config::SyncConfig, database::Database, products::Products,
        row::Row,
    },
    state::{
        faults::Faults,
        metrics::{Metrics, RequestRecord},
        replay::Replay,
        service::Service,
    },
};

/// A running service. Dropping it ends its streams and closes its port.
pub struct PowerSync {
    service: Arc<Service>,
    address: SocketAddr,
    server: JoinHandle<()>,
}

impl PowerSync {
    pub(crate) fn new(service: Arc<Service>, address: SocketAddr, server: JoinHandle<()>) -> Self {
        Self {
            service,
            address,
            server,
        }
    }

    /// The URL to give to clients, without a path.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The shared secret of HS256 tokens, base64url.
    pub fn secret(&self) -> &str {
        self.service.keys.secret()
    }

    /// The key id of the shared secret.
    pub fn kid(&self) -> &str {
        self.service.keys.kid()
    }

    /// A token with these claims (a JSON object), signed with the shared secret. `sub`, `iat`, `exp` (in five
    /// minutes) and `aud` are filled in if missing.
    pub fn token(&self, claims: Value) -> String {
        let claims = match claims {
            Value::Object(claims) => claims,
            _ => Map::new(),
        };
        self.service.keys.sign(claims)
    }

    /// A token for one store.
    pub fn token_for(&self, store: &str) -> String {
        self.token(json!({"store_id": store}))
    }

    /// Makes a store known: a row of `stores`.
    pub fn add_store(&self, store: &str) {
        self.put("stores", json!({"id": store}));
    }

    /// Makes a store known and fills it with generated products.
    pub fn add_generated_store(&self, store: &str, products: u32, seed: u64) {
        self.write(|rows| {
            rows.put("stores", json!({"id": store}));
            rows.generate(Products::new(store, products, seed));
        });
    }

    /// Inserts or replaces one row; see [`Transaction::put`].
    pub fn put(&self, table: &str, row: impl ToString) {
        self.write(|rows| rows.put(table, row));
    }

    /// Removes one row; false if there is none.
    pub fn remove(&self, table: &str, id: &str) -> bool {
        self.write(|rows| rows.remove(table, id))
    }

    /// Changes several rows at once: clients see all of it in one checkpoint.
    pub fn write<R>(&self, change: impl FnOnce(&mut Transaction<'_>) -> R) -> R {
        self.service
            .change(|database| change(&mut Transaction { database }))
    }

    /// The rows that a client with a token for this store should end up with, each once, from default streams alone.
    pub fn rows(&self, store: &str) -> impl Iterator<Item = Row> + use<> {
        let claims = Map::from_iter([("store_id".to_owned(), json!(store))]);
        self.rows_for(&claims, &json!([]))
    }

    /// The rows that a client with these claims and subscriptions (as in a request) should end up with, each once,
    /// in no particular order.
    ///
    /// # Panics
    /// If the subscriptions are not a list like a request's `streams.subscriptions`.
    pub fn rows_for(
        &self,
        claims: &Map<String, Value>,
        subscriptions: &Value,
    ) -> impl Iterator<Item = Row> + use<> {
        let selection = serde_json::from_value(json!({"subscriptions": subscriptions}))
            .expect("subscriptions as in a request");
        let database = self.service.database();
        let checkpoint = Checkpoint::read(&database, claims, &selection);
        let rows =
            database.rows_of_buckets(checkpoint.buckets.into_iter().map(|bucket| bucket.name));
        rows.into_iter().map(|row| row.to_row())
    }

    /// The id of the newest operation.
    pub fn last_op_id(&self) -> u64 {
        self.service.database().last_op()
    }

    /// Compacts all buckets: superseded operations become MOVE, leading runs without a row CLEAR.
    pub fn compact(&self) {
        self.service.change(Database::compact);
    }

    /// Deploys the same sync config once more, which renames all buckets, changes all subkeys and ends all streams.
    pub fn redeploy(&self) {
        self.service.change(|database| {
            let config = database.config().clone();
            database.deploy(config);
        });
    }

    /// Deploys another sync config.
    pub fn deploy(&self, config: SyncConfig) {
        self.service.change(|database| database.deploy(config));
    }

    /// Whether a sync config is in force; without one, requests get `PSYNC_S2302`.
    pub fn set_ready(&self, ready: bool) {
        self.service.ready.store(ready, Ordering::Relaxed);
    }

    /// The faults to inject.
    pub fn faults(&self) -> &Faults {
        &self.service.faults
    }

    /// Answers the next request of any client with a recorded body.
    pub fn replay(&self, replay: Replay) {
        self.service.replays.push(replay);
    }

    /// The last 1,000 requests, oldest first.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.service.requests.all()
    }

    /// The counters as they are.
    pub fn metrics(&self) -> Metrics {
        self.service.metrics.borrow().clone()
    }

    /// Waits until the counters satisfy a condition and returns them.
    pub async fn wait_for(&self, condition: impl FnMut(&Metrics) -> bool) -> Metrics {
        let mut metrics = self.service.metrics.subscribe();
        let reached = metrics
            .wait_for(condition)
            .await
            .expect("the service owns the counters");
        reached.clone()
    }

    /// Ends all streams, closes the port and waits until the last connection is gone.
    pub async fn shutdown(mut self) {
        self.service.shutdown.cancel();
        // The task ends by itself; that it was cancelled with its runtime is an end, too.
        let _ = (&mut self.server).await;
    }
}

impl Drop for PowerSync {
    fn drop(&mut self) {
        self.service.shutdown.cancel();
    }
}

/// Changes that clients see together.
pub struct Transaction<'a> {
    database: &'a mut Database,
}

impl Transaction<'_> {
    /// Inserts or replaces a row. Its text, a JSON object with a text `id`, goes over the wire as it is.
    ///
    /// # Panics
    /// If the row is not such an object.
    pub fn put(&mut self, table: &str, row: impl ToString) {
        self.database.put(table, row.to_string());
    }

    /// Removes a row; false if there is none.
    pub fn remove(&mut self, table: &str, id: &str) -> bool {
        self.database.remove(table, id)
    }

    /// Inserts generated products, whose text is made when it is needed.
    pub fn generate(&mut self, products: Products) {
        self.database.generate(products);
    }

    /// Gives the next operation this id, to rebuild a recorded history.
    ///
    /// # Panics
    /// If an operation with this id or a later one exists.
    pub fn set_next_op_id(&mut self, op_id: u64) {
        self.database.set_next_op_id(op_id);
    }
}
