//! What devices are told when snapshots are switched off, when a form is for a share of the stores, and when one was withdrawn.

use std::time::{Duration, Instant};

use seedbed::catalog::Share;
use seedbed_protocol::StoreId;
use serde_json::{Value, json};
use testkit::{
    program::Program,
    serving::{Answer, Serving, client_token, database_path},
    wait,
};

use super::support::{ask, start_until, streaming, token_of};

async fn command(program: &Program, arguments: &[&str]) -> Value {
    let ended = program.run(&[arguments, &["--json"]].concat()).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    ended.objects().remove(0)
}

/// Asks for a store's file until the answer is liked.
async fn database_until(serving: &Serving, store: &str, status: u16) -> Answer {
    wait::for_some("the answer of /database is as expected", async || {
        let token = client_token(json!({ "store_id": store }));
        let answer = serving.get(&database_path(store), Some(&token)).await;
        (answer.status == status).then_some(answer)
    })
    .await
}

async fn stream(serving: &Serving, store: &str, device: usize) -> Answer {
    ask(
        serving,
        &token_of(store, device),
        &json!({"buckets": []}),
        &[],
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_switch_sends_every_device_to_the_normal_sync_and_back() {
    let (service, program, serving) = streaming(20, |_| ()).await;
    let url = database_until(&serving, "1", 200).await.json()["databaseUrl"].clone();
    let url = url.as_str().unwrap();
    assert_eq!(serving.get(url, None).await.status, 200);
    let off = command(&program, &["delivery", "off"]).await;
    assert_eq!(off["all"], 0.0);
    let refused = database_until(&serving, "1", 404).await;
    assert_eq!(refused.refusal(), (404, "switched_off".to_owned()));
    let start = start_until(&serving, "1", "", |start| start["from"] == "powersync").await;
    assert_eq!(start["why"], "switched_off");
    let endpoint = start["endpoint"].as_str().unwrap();
    assert_eq!(
        endpoint,
        service.endpoint().trim_end_matches('/'),
        "it is the service"
    );
    assert_eq!(
        stream(&serving, "1", 1).await.refusal(),
        (401, "switched_off".to_owned())
    );
    // URLs that were handed out before are refused, too.
    assert_eq!(
        serving.get(url, None).await.refusal(),
        (404, "switched_off".to_owned())
    );
    // Nobody learns more than before.
    let other = client_token(json!({"store_id": "2"}));
    assert_eq!(
        serving.get(&database_path("1"), Some(&other)).await.status,
        403
    );

    let on = serving
        .post("/api/delivery", Some(json!({"share": 100})))
        .await;
    assert_eq!(on.json()["all"], 100.0, "{on:?}");
    database_until(&serving, "1", 200).await;
    start_until(&serving, "1", "", |start| start["from"] == "seedbed").await;
    assert_eq!(stream(&serving, "1", 2).await.status, 200);
    let audit = serving.admin("/api/audit?search=delivery").await.json();
    let outcomes: Vec<_> = audit["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|of| &of["outcome"])
        .collect();
    assert_eq!(outcomes, ["done", "done"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_goes_to_a_share_of_the_stores_first() {
    let (_service, program, serving) = streaming(20, |_| ()).await;
    // A share that has one of the two stores.
    let has = |percent: u32, store: &str| {
        let share: Share = percent.to_string().parse().unwrap();
        share.has(&StoreId::new(store).unwrap())
    };
    let percent = (1..100)
        .find(|&percent| has(percent, "1") != has(percent, "2"))
        .unwrap();
    let (inside, outside) = if has(percent, "1") {
        ("1", "2")
    } else {
        ("2", "1")
    };
    let share = format!("{percent}%");
    let set = command(
        &program,
        &["delivery", "on", "--form", "stream", "--share", &share],
    )
    .await;
    assert_eq!(set["stream"], f64::from(percent));
    let start = start_until(&serving, outside, "", |start| start["from"] == "powersync").await;
    assert_eq!(start["why"], "not_in_share");
    assert_eq!(
        stream(&serving, outside, 1).await.refusal(),
        (401, "not_in_share".to_owned())
    );
    start_until(&serving, inside, "", |start| start["from"] == "seedbed").await;
    assert_eq!(stream(&serving, inside, 1).await.status, 200);
    // Other forms are for all stores as before.
    database_until(&serving, outside, 200).await;
    command(&program, &["delivery", "off", "--form", "file"]).await;
    let refused = database_until(&serving, inside, 404).await;
    assert_eq!(refused.refusal(), (404, "not_in_share".to_owned()));
    for wrong in [
        json!({}),
        json!({"share": 101}),
        json!({"share": 5, "what": "nosuch"}),
    ] {
        let refused = serving.post("/api/delivery", Some(wrong)).await;
        assert_eq!(refused.status, 400, "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_snapshot_is_given_to_no_device_in_any_form() {
    let (_service, program, serving) = streaming(20, |program| {
        program.set("DOWNLOAD__START_MAX_AGE", "8s");
        program.set("SNAPSHOTS__LATEST", "true");
    })
    .await;
    let first = database_until(&serving, "1", 200).await.json();
    let latest = || std::fs::exists(program.path("seedbed-data/snapshots/latest/1.json")).unwrap();
    assert!(latest());
    let withdrawn = command(&program, &["withdraw", "1"]).await;
    assert_eq!(withdrawn, json!({"stores": 1, "earlier": 0}));
    assert!(!latest(), "the copy is gone with it");
    let refused = database_until(&serving, "1", 404).await;
    assert_eq!(refused.refusal(), (404, "no_snapshot".to_owned()));
    // Although what is known of a store is remembered for eight seconds.
    let begun = Instant::now();
    let start = start_until(&serving, "1", "", |start| start["from"] == "powersync").await;
    assert_eq!(start["why"], "no_snapshot");
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(
        stream(&serving, "1", 1).await.refusal(),
        (401, "no_snapshot".to_owned())
    );
    database_until(&serving, "2", 200).await;

    let shown = serving.admin("/api/stores/1").await.json();
    assert!(shown["snapshots"][0]["withdrawnAt"].is_string(), "{shown}");
    serving.post("/api/stores/1/seed", None).await;
    let again = database_until(&serving, "1", 200).await.json();
    assert_ne!(again["databaseUrl"], first["databaseUrl"]);
    assert!(latest());
    let taken = serving
        .post("/api/snapshots/withdraw", Some(json!({"all": true})))
        .await;
    assert_eq!(taken.json()["stores"], 2, "{taken:?}");
    let careless = serving.post("/api/snapshots/withdraw", None).await;
    assert_eq!(careless.status, 400);
    let unknown = serving.post("/api/stores/nosuch/withdraw", None).await;
    assert_eq!(unknown.refusal(), (404, "unknown_store".to_owned()));
    let unknown = program.run(&["withdraw", "nosuch"]).await;
    assert_eq!(unknown.code, Some(2), "{unknown}");
    assert_eq!(program.run(&["withdraw"]).await.code, Some(2));
}
