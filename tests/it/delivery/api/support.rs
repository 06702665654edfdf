//! A server with an API and stores to ask for.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::{powersync::PowerSync, program::Program, serving::Serving};

pub(super) async fn service_with(stores: &[String]) -> (PowerSync, Program) {
    let service = PowerSync::builder().start().await.unwrap();
    let mut program = Program::new(&service);
    Serving::prepare(&mut program);
    let mut list = String::new();
    for (seed, store) in stores.iter().enumerate() {
        service.add_generated_store(store, 5, seed as u64 + 1);
        list += &format!("{}\n", json!({ "store_id": store }));
    }
    program.write("stores.ndjson", list);
    program.set("SERVE__RATE_LIMIT", "0");
    (service, program)
}

pub(super) fn numbered(count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("store-{n:04}")).collect()
}

/// Waits until the newest run has ended, and answers it.
pub(super) async fn ended(serving: &Serving) -> Value {
    let look = async {
        loop {
            let runs = serving.admin("/api/runs?limit=1").await.json();
            let newest = &runs["runs"][0];
            if newest["finishedAt"].is_string() {
                return newest.clone();
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(120), look).await;
    ended.unwrap_or_else(|_| panic!("no run ends: {}", serving.process.error()))
}
