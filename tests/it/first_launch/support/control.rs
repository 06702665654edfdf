//! The stand-in service from behind, for tests that are written in another language: its rows and counters over HTTP.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{delete, get, post, put},
};
use serde_json::{Map, Value, json};
use testkit::powersync::PowerSync;
use tokio::{net::TcpListener, task::JoinHandle};

use super::rows::subscriptions;

/// Answers until it is dropped.
pub(super) struct Control {
    /// Where, without a path.
    pub(super) url: String,
    server: JoinHandle<()>,
}

impl Control {
    pub(super) async fn of(service: Arc<PowerSync>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it listens");
        let routes = Router::new()
            .route("/stores/{store}/token", get(token))
            .route("/stores/{store}/counters", get(counters))
            .route("/stores/{store}/client-ids", get(client_ids))
            .route("/stores/{store}/rows", get(rows))
            .route("/redeploy", post(redeploy))
            .route("/rows/{table}", put(put_row))
            .route("/rows/{table}/{id}", delete(remove_row))
            .with_state(service);
        Self {
            url: format!("http://{address}"),
            server: tokio::spawn(async move {
                axum::serve(listener, routes)
                    .await
                    .expect("a listener that stays open");
            }),
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// What a user of the store is known by, to the service and to Seedbed.
pub(super) fn claims(store: &str) -> Map<String, Value> {
    Map::from_iter([("store_id".to_owned(), json!(store))])
}

type Service = State<Arc<PowerSync>>;

async fn token(State(service): Service, Path(store): Path<String>) -> Json<Value> {
    Json(json!(service.token(claims(&store).into())))
}

async fn counters(State(service): Service, Path(store): Path<String>) -> Json<Value> {
    let counters = service.metrics().store(&store);
    Json(json!({"streams": counters.streams, "operations": counters.operations}))
}

async fn client_ids(State(service): Service, Path(store): Path<String>) -> Json<Value> {
    let requests = service.requests().into_iter();
    let of_store = requests.filter(|request| request.claims["store_id"] == *store);
    Json(
        of_store
            .map(|request| request.body["client_id"].clone())
            .collect(),
    )
}

/// The rows of the store that a client has which has not subscribed to anything but what its snapshot is.
async fn rows(State(service): Service, Path(store): Path<String>) -> Json<Value> {
    let rows = service.rows_for(&claims(&store), &subscriptions());
    let parse = |json: &str| serde_json::from_str::<Value>(json).expect("a row is JSON");
    Json(
        rows.map(|row| json!({"table": &*row.table, "row": parse(&row.json)}))
            .collect(),
    )
}

/// Every bucket has another name from now on.
async fn redeploy(State(service): Service) -> Json<Value> {
    service.redeploy();
    Json(Value::Null)
}

async fn put_row(
    State(service): Service,
    Path(table): Path<String>,
    Json(row): Json<Value>,
) -> Json<Value> {
    service.put(&table, row);
    Json(Value::Null)
}

async fn remove_row(
    State(service): Service,
    Path((table, id)): Path<(String, String)>,
) -> Result<Json<Value>, StatusCode> {
    let removed = service.remove(&table, &id);
    removed
        .then_some(Json(Value::Null))
        .ok_or(StatusCode::NOT_FOUND)
}
