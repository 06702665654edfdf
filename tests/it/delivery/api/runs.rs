//! Runs: started, seen to progress, cancelled and retried.

use std::{collections::BTreeSet, time::Duration};

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{
    powersync::Fault,
    serving::{ADMIN_TOKEN, LOCAL_SERVE, Serving},
    wait,
};

use super::support::{ended, numbered, service_with};

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_store_is_found_with_its_reason_and_retried() {
    let stores = numbered(6);
    let (service, program) = service_with(&stores).await;
    let refused = Fault::Error {
        status: 403,
        code: "PSYNC_S2305",
    };
    service.faults().always_for("store-0003", refused.clone());
    service.faults().always_for("store-0004", refused);
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
    let run = ended(&serving).await;
    assert_eq!(
        (&run["state"], &run["failed"]),
        (&json!("failed"), &json!(2))
    );
    let run_id = run["runId"].as_str().unwrap();
    let failed = serving
        .admin(&format!("/api/runs/{run_id}/jobs?state=failed"))
        .await
        .json();
    assert_eq!(failed["jobs"].as_array().unwrap().len(), 2);
    let failure = &failed["jobs"][0]["failure"];
    assert_eq!(
        (&failure["kind"], &failure["step"]),
        (&json!("permanent"), &json!("sync"))
    );
    assert!(failure["message"].as_str().unwrap().contains("PSYNC_S2305"));
    let store = serving.admin("/api/stores/store-0003").await.json();
    assert_eq!(store["job"]["failure"], *failure);
    assert!(store["snapshotAt"].is_null() && store["snapshots"] == json!([]));
    let by_state = serving.admin("/api/stores?state=failed").await.json();
    assert_eq!(by_state["total"], 2);
    let never = serving.admin("/api/stores?freshness=never").await.json();
    assert_eq!(never["total"], 2);
    let overview = serving.admin("/api/overview").await.json();
    assert_eq!(
        overview["freshness"],
        json!({"hour": 4, "sixHours": 0, "day": 0, "older": 0, "never": 2})
    );
    assert_eq!(
        (&overview["stores"], &overview["parked"]["jobs"]),
        (&json!(6), &json!(2))
    );

    service.faults().clear();
    let retry = format!("/api/runs/{run_id}/retry");
    let one = serving
        .post(&retry, Some(json!({"stores": ["store-0003"]})))
        .await;
    assert_eq!((one.status.as_u16(), &one.json()["jobs"]), (202, &json!(1)));
    let state_of = async |store: &str| {
        let store = serving.admin(&format!("/api/stores/{store}")).await.json();
        store["job"]["state"].as_str().unwrap().to_owned()
    };
    let completed = async |store: &str| {
        wait::until("it is seeded", async || {
            state_of(store).await == "completed"
        })
        .await;
    };
    completed("store-0003").await;
    assert_eq!(
        state_of("store-0004").await,
        "failed",
        "nobody asked for it"
    );
    let rest = serving.post(&retry, None).await.json();
    assert_eq!(rest["jobs"], 1);
    completed("store-0004").await;
    let newest = ended(&serving).await;
    assert_eq!(
        (&newest["kind"], &newest["state"], &newest["seeded"]),
        (&json!("retry"), &json!("completed"), &json!(1))
    );
    let earlier = serving.admin(&format!("/api/runs/{run_id}")).await.json();
    assert_eq!(earlier, run, "it ended as it did");
    let history = serving.admin("/api/stores/store-0004").await.json();
    let states: Vec<&Value> = history["jobs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|j| &j["state"])
        .collect();
    assert_eq!(states, ["completed", "failed"]);
    let snapshot = &history["snapshots"][0];
    assert_eq!(snapshot["rows"], 5);
    assert_eq!(snapshot["traceId"].as_str().unwrap().len(), 32);
    let steps: Vec<&str> = snapshot["steps"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|s| s["step"].as_str())
        // Only in a sample of the jobs.
        .filter(|step| *step != "forms")
        .collect();
    assert_eq!(
        steps,
        ["sync", "scrub", "vacuum", "verify", "compact", "upload"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_seen_to_progress_and_can_be_cancelled() {
    let (service, program) = service_with(&numbered(200)).await;
    let slow = Fault::Delay(Duration::from_millis(150));
    service.faults().with_probability(1.0, slow);
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
    let mut stream = serving
        .request(Method::GET, "/api/events")
        .bearer_auth(ADMIN_TOKEN)
        .send()
        .await
        .unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let (mut text, mut seen) = (String::new(), BTreeSet::new());
    while seen.len() < 3 {
        let chunk = tokio::time::timeout(Duration::from_secs(60), stream.chunk()).await;
        text += std::str::from_utf8(&chunk.unwrap().unwrap().unwrap()).unwrap();
        while let Some((event, rest)) = text.split_once("\n\n") {
            let data = event.strip_prefix("event: overview\ndata: ").unwrap();
            let overview: Value = serde_json::from_str(data).unwrap();
            seen.extend(overview["currentRun"]["seeded"].as_u64());
            text = rest.to_owned();
        }
    }
    let run = serving.admin("/api/overview").await.json()["currentRun"].clone();
    let cancel = format!("/api/runs/{}/cancel", run["runId"].as_str().unwrap());
    let cancelled = serving.post(&cancel, None).await;
    assert_eq!(cancelled.status, 202, "{cancelled:?}");
    assert!(cancelled.json()["cancelled"].as_u64().unwrap() > 0);
    let run = ended(&serving).await;
    assert_eq!(run["state"], "cancelled");
    assert_eq!(
        run["seeded"].as_u64().unwrap() + run["cancelled"].as_u64().unwrap(),
        200
    );
    // A stream ends with the server.
    serving.process.signal("TERM");
    while stream.chunk().await.is_ok_and(|chunk| chunk.is_some()) {}
    assert_eq!(serving.process.end().await.code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_started_over_all_stores_or_some() {
    let stores = numbered(5);
    let (_service, program) = service_with(&stores).await;
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
    ended(&serving).await;
    let start = async |body: Option<Value>| {
        let answer = serving.post("/api/runs", body).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        let listed = answer.json();
        ended(&serving).await;
        listed
    };
    assert_eq!(start(None).await["jobs"], 5);
    assert_eq!(start(Some(json!({}))).await["jobs"], 5);
    assert_eq!(start(Some(json!({"limit": 2}))).await["jobs"], 2);
    assert_eq!(
        start(Some(json!({"stores": ["store-0002"]}))).await["jobs"],
        1
    );
    let fresh = start(Some(json!({"onlyOlderThan": "1h"}))).await;
    assert_eq!(
        (&fresh["runId"], &fresh["fresh"]),
        (&Value::Null, &json!(5))
    );
    program.write(
        "stores.ndjson",
        "{\"store_id\":\"store-0001\"}\nthis is no store\n",
    );
    let broken = serving.post("/api/runs", None).await;
    assert_eq!(broken.refusal(), (502, "source_failed".to_owned()));
    assert!(
        broken.json()["message"]
            .as_str()
            .unwrap()
            .contains("line 2")
    );
}
