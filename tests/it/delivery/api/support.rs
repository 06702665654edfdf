//! A server with an API and stores to ask for.

use serde_json::Value;
use testkit::{
    powersync::PowerSync,
    program::Program,
    serving::{Serving, prepared},
    wait,
};

pub(super) async fn service_with(stores: &[String]) -> (PowerSync, Program) {
    let (service, mut program) = prepared(stores, 5).await;
    program.set("SERVE__RATE_LIMIT", "0");
    (service, program)
}

pub(super) fn numbered(count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("store-{n:04}")).collect()
}

/// Waits until the newest run has ended, and answers it.
pub(super) async fn ended(serving: &Serving) -> Value {
    wait::for_some("the newest run has ended", async || {
        let runs = serving.admin("/api/runs?limit=1").await.json();
        let newest = &runs["runs"][0];
        newest["finishedAt"].is_string().then(|| newest.clone())
    })
    .await
}
