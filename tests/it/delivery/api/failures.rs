//! Failed stores by reason: told together, tried again together, quarantined together; and a run beside the one before it.

use serde_json::{Value, json};
use testkit::{
    powersync::Fault,
    serving::{LOCAL_SERVE, Serving},
    wait,
};

use super::support::{ended, numbered, service_with};

fn refused(status: u16, code: &'static str) -> Fault {
    Fault::Error { status, code }
}

async fn reasons(serving: &Serving, query: &str) -> Vec<Value> {
    let answer = serving.admin(&format!("/api/failures{query}")).await.json();
    let reasons = answer["reasons"].as_array().unwrap().clone();
    assert_eq!(answer["total"], reasons.len());
    reasons
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_that_fail_for_one_reason_are_one_entry_and_are_tried_again_together() {
    let (service, program) = service_with(&numbered(6)).await;
    for store in ["store-0001", "store-0003", "store-0005"] {
        service
            .faults()
            .always_for(store, refused(403, "PSYNC_S2305"));
    }
    service
        .faults()
        .always_for("store-0002", refused(401, "PSYNC_S2101"));
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
    let first = ended(&serving).await;
    let run_id = first["runId"].as_str().unwrap();

    let failing = reasons(&serving, "").await;
    let shown: Vec<_> = failing
        .iter()
        .map(|it| (&it["code"], &it["stores"], &it["open"]))
        .collect();
    let (three, one) = (json!(3), json!(1));
    assert_eq!(
        shown,
        [
            (&json!("PSYNC_S2305"), &three, &three),
            (&json!("PSYNC_S2101"), &one, &one)
        ]
    );
    assert_eq!(failing[0]["step"], "sync");
    let example = &failing[0]["examples"][0];
    assert!(
        example["message"].as_str().unwrap().contains("PSYNC_S2305"),
        "{example}"
    );
    assert_eq!(example["traceId"].as_str().unwrap().len(), 32);
    assert_eq!(reasons(&serving, &format!("?run={run_id}")).await, failing);

    let key = failing[0]["key"].as_str().unwrap().to_owned();
    service.faults().clear();
    let retried = serving
        .post(&format!("/api/failures/{key}/retry"), None)
        .await;
    assert_eq!(
        (retried.status.as_u16(), &retried.json()["jobs"]),
        (202, &three)
    );
    wait::until("the others fail no more", async || {
        reasons(&serving, "").await.len() == 1
    })
    .await;
    assert_eq!(
        reasons(&serving, "").await[0]["code"],
        "PSYNC_S2101",
        "nobody asked for it"
    );
    let of_run = reasons(&serving, &format!("?run={run_id}")).await;
    let healed = of_run.iter().find(|it| it["key"] == key.as_str()).unwrap();
    assert_eq!(
        (&healed["stores"], &healed["open"]),
        (&three, &json!(0)),
        "a run stays told"
    );

    let audit = serving
        .admin("/api/audit?search=failure.retry")
        .await
        .json();
    let entry = &audit["entries"][0];
    assert_eq!(
        (&entry["subject"], &entry["outcome"]),
        (&json!(key), &json!("done"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_for_one_reason_is_quarantined_and_what_names_none_is_refused() {
    let (service, program) = service_with(&numbered(4)).await;
    for store in ["store-0001", "store-0003"] {
        service
            .faults()
            .always_for(store, refused(403, "PSYNC_S2305"));
    }
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
    ended(&serving).await;
    let key = reasons(&serving, "").await[0]["key"]
        .as_str()
        .unwrap()
        .to_owned();
    let held = serving
        .post(&format!("/api/failures/{key}/quarantine"), None)
        .await;
    assert_eq!(
        (held.status.as_u16(), held.json()),
        (200, json!({"stores": 2}))
    );
    let group = reasons(&serving, "").await.remove(0);
    assert_eq!(
        (&group["open"], &group["quarantined"]),
        (&json!(2), &json!(2))
    );
    let overview = serving.admin("/api/overview").await.json();
    assert_eq!(overview["quarantined"], 2);
    let store = serving.admin("/api/stores/store-0001").await.json();
    let by = store["quarantine"]["held"]["by"].clone();
    let listed = serving.post("/api/runs", None).await.json();
    assert_eq!(
        (&listed["jobs"], &listed["quarantined"]),
        (&json!(2), &json!(2))
    );
    let run = ended(&serving).await;
    assert_eq!(run["state"], "completed");
    let audit = serving
        .admin("/api/audit?search=failure.quarantine")
        .await
        .json();
    assert_eq!(audit["entries"][0]["subject"], json!(key));
    assert_eq!(audit["entries"][0]["actor"], by, "it says who");

    for (path, refusal) in [
        ("/api/failures/0123456789/retry", (404, "unknown_reason")),
        (
            "/api/failures/0123456789/quarantine",
            (404, "unknown_reason"),
        ),
        ("/api/failures/..%2Fruns/retry", (400, "invalid_request")),
    ] {
        let refused = serving.post(path, None).await;
        assert_eq!(
            refused.refusal(),
            (refusal.0, refusal.1.to_owned()),
            "{path}"
        );
    }
    for (query, refusal) in [
        ("?run=nonsense", (400, "invalid_request")),
        (
            "?run=0190a6b2-6c3e-7c5a-9d3f-2f1f5a1c7e11",
            (404, "unknown_run"),
        ),
        ("?limit=0", (400, "invalid_request")),
    ] {
        let refused = serving.admin(&format!("/api/failures{query}")).await;
        assert_eq!(
            refused.refusal(),
            (refusal.0, refusal.1.to_owned()),
            "{query}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_told_beside_the_one_before_it() {
    let (service, program) = service_with(&numbered(4)).await;
    service
        .faults()
        .always_for("store-0001", refused(403, "PSYNC_S2305"));
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
    let first = ended(&serving).await["runId"].as_str().unwrap().to_owned();
    let of = async |run: &str| {
        let path = format!("/api/runs/{run}/comparison");
        serving.admin(&path).await.json()["comparison"].clone()
    };
    assert_eq!(of(&first).await, Value::Null);
    service.faults().clear();
    service
        .faults()
        .always_for("store-0002", refused(403, "PSYNC_S2305"));
    assert_eq!(serving.post("/api/runs", None).await.json()["jobs"], 4);
    let second = ended(&serving).await["runId"].as_str().unwrap().to_owned();
    let compared = of(&second).await;
    assert_eq!(compared["before"], json!(first));
    let counts = [
        "compared",
        "newFailures",
        "healed",
        "stillFailing",
        "slower",
    ]
    .map(|name| compared[name].clone());
    assert_eq!(counts, [json!(4), json!(1), json!(1), json!(0), json!(0)]);
    assert_eq!(compared["newlyFailed"][0]["storeId"], "store-0002");
    assert_eq!(compared["healedStores"], json!(["store-0001"]));
    let unknown = serving
        .admin("/api/runs/0190a6b2-6c3e-7c5a-9d3f-2f1f5a1c7e11/comparison")
        .await;
    assert_eq!(unknown.refusal(), (404, "unknown_run".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_waits_for_the_services_limit_says_so() {
    let (service, program) = service_with(&numbered(3)).await;
    // Longer than a job waits by itself: it goes back to the queue.
    let busy = Fault::Status {
        status: 429,
        retry_after: Some("600".to_owned()),
    };
    service.faults().always_for("store-0002", busy);
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
    let overview = wait::for_some("a store waits", async || {
        let overview = serving.admin("/api/overview").await.json();
        (overview["serviceWait"]["stores"] == 1).then_some(overview)
    })
    .await;
    assert!(overview["serviceWait"]["nextAt"].is_string());
    let store = serving.admin("/api/stores/store-0002").await.json();
    let job = &store["job"];
    assert_eq!(
        (&job["state"], &job["waitsForService"]),
        (&json!("queued"), &json!(true))
    );
    assert_eq!(job["retryAt"], overview["serviceWait"]["nextAt"]);
    let other = serving.admin("/api/stores/store-0001").await.json();
    assert_eq!(
        (&other["job"]["waitsForService"], &other["job"]["retryAt"]),
        (&json!(false), &Value::Null)
    );
    let shown = program.run(&["status"]).await;
    assert!(
        shown.output.contains("1 store waits since the service"),
        "{shown}"
    );
    let jobs = program.run(&["status", "--jobs"]).await;
    assert!(jobs.output.contains("waits (429)"), "{jobs}");
}
