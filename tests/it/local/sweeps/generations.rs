//! What the sync config decides: streams that are asked for, and the names of all buckets.

use serde_json::{Value, json};
use testkit::{
    powersync::{PowerSync, Source, StreamDefinition, SyncConfig},
    program::Program,
    serving::{LOCAL_SERVE, Serving, prepared},
    wait,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_new_sync_config_is_told_once_and_named_as_the_reason() {
    let service = PowerSync::builder().start().await.unwrap();
    for store in ["a", "b", "c"] {
        service.add_generated_store(store, 50, 1);
    }
    let program = Program::new(&service);
    program.write("stores.csv", "store_id\na\nb\nc\n");
    let sweep = async || {
        let ended = program
            .run(&["local", "--json", "--stores", "stores.csv"])
            .await;
        assert_eq!(ended.code, Some(0), "{ended}");
        ended
    };
    let status = async || {
        let ended = program.run(&["status", "--json"]).await;
        assert_eq!(ended.code, Some(0), "{ended}");
        ended.objects().remove(0)
    };
    sweep().await;
    assert_eq!(status().await["configChanges"], json!([]));
    service.redeploy();
    let ended = sweep().await;
    assert_eq!(
        ended.error.matches("sync config changed: 1 → 2").count(),
        1,
        "{ended}"
    );
    let told = status().await;
    assert_eq!(
        told["ways"],
        json!([{ "way": "full", "why": "config", "jobs": 3 }])
    );
    assert_eq!(
        told["configChanges"],
        json!([{ "from": "1", "to": "2", "stores": 3 }])
    );
    let ended = program.run(&["status"]).await;
    assert!(
        ended
            .output
            .contains("sync config changed: 1 → 2; 3 stores are downloaded in full"),
        "{ended}"
    );
    sweep().await;
    assert_eq!(status().await["ways"][0]["way"], "unchanged");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_seeds_all_stores_again_as_soon_as_one_job_finds_a_new_sync_config() {
    let stores = ["1", "2", "3", "4"];
    let (service, mut program) = prepared(&stores, 20).await;
    program.set("DOWNLOAD__MAX_AGE", "7d");
    program.set("WORKER__SLOTS", "1");
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
    for store in stores {
        let answer = serving
            .database_until(store, |answer| answer.status == 200)
            .await;
        assert_eq!(answer.json()["generation"], "1");
        assert_eq!(answer.json()["maxAge"], 7 * 86_400);
    }
    service.redeploy();
    let started = serving
        .post("/api/runs", Some(json!({ "stores": ["2"] })))
        .await;
    assert!(started.status.is_success(), "{started:?}");
    for store in stores {
        let is_new = |answer: &testkit::serving::Answer| {
            answer.status == 200 && answer.json()["generation"] == "2"
        };
        serving.database_until(store, is_new).await;
    }
    let kinds = async || {
        let runs = serving.admin("/api/runs").await.json();
        let runs = runs["runs"].as_array().unwrap().clone();
        runs.into_iter()
            .filter(|run| run["kind"] == "config")
            .collect::<Vec<Value>>()
    };
    wait::until("the run ends", async || {
        kinds().await.iter().all(|run| run["state"] == "completed")
    })
    .await;
    let reseeded = kinds().await;
    assert_eq!(reseeded.len(), 1, "{reseeded:?}");
    assert_eq!(reseeded[0]["stores"], 3);
    let id = reseeded[0]["runId"].as_str().unwrap();
    let shown = serving.admin(&format!("/api/runs/{id}")).await.json();
    assert_eq!(
        shown["configChanges"],
        json!([{ "from": "1", "to": "2", "stores": 3 }])
    );
}

/// Orders by status, on demand.
async fn orders(rows: u32) -> (PowerSync, Program) {
    let config = SyncConfig::streams([
        StreamDefinition::new("store_products", "products")
            .parameter("store_id", Source::claim("store_id")),
        StreamDefinition::new("orders_by_status", "orders")
            .parameter("status", Source::subscription("status"))
            .on_demand(),
    ]);
    let service = PowerSync::builder().config(config).start().await.unwrap();
    service.add_generated_store("7", rows, 1);
    let program = Program::new(&service);
    program.write("stores.ndjson", "{\"store_id\":\"7\"}\n");
    (service, program)
}

fn streams(program: &Program, streams: &str) {
    program.write("seedbed.toml", streams);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_with_a_misspelt_parameter_is_told_by_the_job_and_by_check() {
    let (_service, program) = orders(10).await;
    streams(
        &program,
        "[[streams]]\nstream = \"orders_by_status\"\nparameters = { status = \"open\" }\n\
         [[streams]]\nstream = \"orders_by_status\"\nparameters = { statsu = \"open\" }\n",
    );
    let ended = program
        .run(&["local", "--json", "--stores", "stores.ndjson"])
        .await;
    assert_eq!(ended.code, Some(0), "{ended}");
    assert!(
        ended.error.contains("statsu") && ended.error.contains("selects no bucket"),
        "{ended}"
    );
    let ended = program.run(&["snapshots", "--json"]).await;
    let notes = ended.objects()[0]["notes"].to_string();
    assert!(
        notes.contains("statsu") && !notes.contains("\\\"status\\\""),
        "{notes}"
    );
    let ended = program.run(&["status"]).await;
    assert!(
        ended.output.contains("note: 7: ") && ended.output.contains("statsu"),
        "{ended}"
    );
    let parts = program.check(1).await;
    assert!(parts["powersync"].0);
    let (ok, detail) = &parts["streams"];
    assert!(!ok && detail.contains("statsu"), "{detail}");

    // A value that matches no row has a bucket without rows.
    streams(
        &program,
        "[[streams]]\nstream = \"orders_by_status\"\nparameters = { status = \"none\" }\n",
    );
    assert!(program.check(0).await["streams"].0);
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_streams_are_told_before_any_row_is_downloaded() {
    const ROWS: u32 = 200_000;
    let (service, program) = orders(ROWS).await;
    streams(
        &program,
        "[[streams]]\nstream = \"orders_by_statsu\"\n[[streams]]\nstream = \"nothing\"\n",
    );
    let ended = program
        .run(&["local", "--json", "--stores", "stores.ndjson"])
        .await;
    assert_eq!(ended.code, Some(1), "{ended}");
    assert!(
        ended.error.contains("orders_by_statsu") && ended.error.contains("nothing"),
        "{ended}"
    );
    let parts = program.check(1).await;
    let detail = &parts["powersync"].1;
    assert!(
        detail.contains("orders_by_statsu") && detail.contains("nothing"),
        "{detail}"
    );
    // The service writes ahead of who reads.
    let sent = service.metrics().total.operations;
    assert!(sent < ROWS.into(), "{sent} operations");
}
