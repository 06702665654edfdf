//! `/api`: what administrators see and do, and everything that is refused.

use std::{collections::BTreeSet, time::Duration};

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{
    powersync::{Fault, PowerSync},
    program::Program,
    serving::{ADMIN_TOKEN, Answer, Serving},
};

use crate::delivery::download::access::SERVE;

/// Names that are paths, patterns or markup elsewhere.
const HOSTILE: [&str; 8] = [
    "%2e%2e",
    "...",
    "a%b_c",
    "<img src=x onerror=alert(1)>",
    "\"quotes\" & 'more'",
    "ünï 🦀",
    "x?y=z#w",
    "100%",
];

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

fn path_of(store: &str) -> String {
    let mut url = reqwest::Url::parse("http://localhost").unwrap();
    url.path_segments_mut()
        .unwrap()
        .extend(["api", "stores", store]);
    url.path().to_owned()
}

/// Every endpoint for administrators.
const ENDPOINTS: [(&str, &str); 10] = [
    ("GET", "/api/overview"),
    ("GET", "/api/events"),
    ("GET", "/api/runs"),
    ("POST", "/api/runs"),
    ("GET", "/api/runs/0190a6b2-6c3e-7c5a-9d3f-2f1f5a1c7e11"),
    ("GET", "/api/runs/0190a6b2-6c3e-7c5a-9d3f-2f1f5a1c7e11/jobs"),
    (
        "POST",
        "/api/runs/0190a6b2-6c3e-7c5a-9d3f-2f1f5a1c7e11/retry",
    ),
    (
        "POST",
        "/api/runs/0190a6b2-6c3e-7c5a-9d3f-2f1f5a1c7e11/cancel",
    ),
    ("GET", "/api/stores"),
    ("GET", "/api/stores/1"),
];

async fn each(serving: &Serving, token: Option<&str>) -> BTreeSet<(u16, String)> {
    let mut answers = BTreeSet::new();
    for (method, path) in ENDPOINTS {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        answers.insert(serving.send(method, path, token, None).await.refusal());
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_administrators_may_use_it() {
    let (_service, mut program) = service_with(&numbered(1)).await;
    let serving = Serving::start(&program, &SERVE).await;
    ended(&serving).await;
    let unauthorized: BTreeSet<_> = [(401, "unauthorized".to_owned())].into();
    assert_eq!(each(&serving, None).await, unauthorized);
    assert_eq!(
        each(&serving, Some("another token than that")).await,
        unauthorized
    );
    assert_eq!(each(&serving, Some(&ADMIN_TOKEN[1..])).await, unauthorized);
    let runs = serving.admin("/api/runs").await.json();
    assert_eq!(
        runs["runs"].as_array().unwrap().len(),
        1,
        "nothing was started"
    );
    assert!(serving.process.kill().await);

    program.unset("SERVE__ADMIN_TOKEN");
    let closed = Serving::start(&program, &SERVE).await;
    let disabled: BTreeSet<_> = [(403, "admin_disabled".to_owned())].into();
    assert_eq!(each(&closed, None).await, disabled);
    assert_eq!(each(&closed, Some("")).await, disabled);
    assert!(closed.process.kill().await);

    program.set("SERVE__OPEN_ADMIN", "true");
    let open = Serving::start(&program, &SERVE).await;
    assert_eq!(open.get("/api/overview", None).await.status, 200);
    // A page of another site, in the browser of somebody on the trusted network.
    for site in ["cross-site", "same-site"] {
        let answer = open
            .get_with("/api/overview", &[("sec-fetch-site", site)])
            .await;
        assert_eq!(answer.refusal(), (403, "other_site".to_owned()));
    }
    let own = open
        .get_with("/api/overview", &[("sec-fetch-site", "same-origin")])
        .await;
    assert_eq!(own.status, 200);
    // To other hosts than localhost, browsers without TLS say only this.
    for origin in ["http://evil.example", "http://127.0.0.1:1", "null"] {
        let answer = open.get_with("/api/overview", &[("origin", origin)]).await;
        assert_eq!(answer.refusal(), (403, "other_site".to_owned()), "{origin}");
    }
    let origin = [("origin", open.url.as_str())];
    assert_eq!(open.get_with("/api/overview", &origin).await.status, 200);
    // A name of somebody else's that points here.
    let other_host = (403, "other_host".to_owned());
    for host in ["evil.example", "localhost.evil.example", "x@y", ""] {
        let answer = open.get_with("/api/overview", &[("host", host)]).await;
        assert_eq!(answer.refusal(), other_host, "{host}");
    }
    for host in [
        "localhost",
        "localhost:8080",
        "192.0.2.7:8080",
        "[::1]:8080",
    ] {
        let answer = open.get_with("/api/overview", &[("host", host)]).await;
        assert_eq!(answer.status, 200, "{host}");
    }
    assert!(open.process.kill().await);

    program.set("SERVE__PUBLIC_URL", "http://seedbed.example/");
    let named = Serving::start(&program, &SERVE).await;
    let host = [("host", "seedbed.example")];
    assert_eq!(named.get_with("/api/overview", &host).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_make_no_sense_say_why() {
    let (_service, program) = service_with(&numbered(2)).await;
    let serving = Serving::start(&program, &SERVE).await;
    ended(&serving).await;
    let invalid = (400, "invalid_request".to_owned());
    for path in [
        "/api/runs?limit=0",
        "/api/runs?limit=201",
        "/api/runs?limit=x",
        "/api/runs?state=odd",
        "/api/runs?after=odd",
        "/api/runs?unknown=1",
        "/api/runs/odd",
        "/api/runs/odd/jobs",
        "/api/stores?freshness=old",
        "/api/stores?state=old",
        "/api/stores?limit=-1",
        "/api/stores?after=%00",
        "/api/stores/a%2Fb",
        "/api/stores/a%00b",
        "/api/stores/%ff",
        &format!("/api/stores/{}", "x".repeat(256)),
    ] {
        assert_eq!(serving.admin(path).await.refusal(), invalid, "{path}");
    }
    for body in [
        json!({"stores": "1"}),
        json!({"stores": ["a/b"]}),
        json!({"stores": [""]}),
        json!({"limit": 0}),
        json!({"limit": -1}),
        json!({"limit": 1, "stores": ["store-0001"]}),
        json!({"onlyOlderThan": "long"}),
        json!({"unknown": 1}),
        json!([]),
    ] {
        let answer = serving.post("/api/runs", Some(body.clone())).await;
        assert_eq!(answer.refusal(), invalid, "{body}");
    }
    let refused = async |body: &'static str, content_type: &str| {
        let request = serving
            .request(Method::POST, "/api/runs")
            .bearer_auth(ADMIN_TOKEN);
        let answer = request
            .header("content-type", content_type)
            .body(body)
            .send()
            .await;
        answer.unwrap().status().as_u16()
    };
    assert_eq!(refused("{", "application/json").await, 400);
    assert_eq!(
        refused("x=1", "application/x-www-form-urlencoded").await,
        415
    );
    let large = json!({"stores": vec!["x".repeat(200); 5_000]});
    let large = serving.post("/api/runs", Some(large)).await;
    assert_eq!(large.refusal(), (413, "too_large".to_owned()));

    let unknown = "0190a6b2-6c3e-7c5a-9d3f-2f1f5a1c7e11";
    for path in [
        format!("/api/runs/{unknown}"),
        format!("/api/runs/{unknown}/jobs"),
    ] {
        assert_eq!(
            serving.admin(&path).await.refusal(),
            (404, "unknown_run".to_owned())
        );
    }
    for what in ["retry", "cancel"] {
        let answer = serving
            .post(&format!("/api/runs/{unknown}/{what}"), None)
            .await;
        assert_eq!(answer.refusal(), (404, "unknown_run".to_owned()));
    }
    assert_eq!(
        serving.admin("/api/stores/nowhere").await.refusal(),
        (404, "unknown_store".to_owned())
    );
    let nowhere = serving.post("/api/stores/nowhere/seed", None).await;
    assert_eq!(nowhere.refusal(), (404, "unknown_store".to_owned()));
    let over = serving.admin("/api/runs?limit=1").await.json()["runs"][0]["runId"].clone();
    let over = format!("/api/runs/{}/cancel", over.as_str().unwrap());
    assert_eq!(
        serving.post(&over, None).await.refusal(),
        (409, "run_ended".to_owned())
    );
    let deleted = serving
        .send(Method::DELETE, "/api/runs", Some(ADMIN_TOKEN), None)
        .await;
    assert_eq!(deleted.status, 405);
    let runs = serving.admin("/api/runs").await.json();
    assert_eq!(
        runs["runs"].as_array().unwrap().len(),
        1,
        "nothing was started"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_keep_their_names_wherever_they_are_shown_and_searched() {
    let stores = HOSTILE.map(str::to_owned);
    let (_service, program) = service_with(&stores).await;
    let serving = Serving::start(&program, &SERVE).await;
    ended(&serving).await;
    let names = |answer: &Answer| -> BTreeSet<String> {
        let stores = answer.json()["stores"].as_array().unwrap().clone();
        let name = |store: &Value| store["storeId"].as_str().unwrap().to_owned();
        stores.iter().map(name).collect()
    };
    let all = serving.admin("/api/stores").await;
    assert_eq!(names(&all), stores.iter().cloned().collect());
    for store in &stores {
        let shown = serving.admin(&path_of(store)).await;
        assert_eq!(shown.status, 200, "{store}: {shown:?}");
        assert_eq!(shown.json()["storeId"], json!(store));
        assert_eq!(shown.json()["snapshots"][0]["state"], "live");
        let seeded = serving
            .post(&format!("{}/seed", path_of(store)), None)
            .await;
        assert_eq!(seeded.status, 202, "{store}: {seeded:?}");
    }
    let search = async |text: &str| {
        let mut url = reqwest::Url::parse("http://localhost/api/stores").unwrap();
        url.query_pairs_mut().append_pair("search", text);
        let path = format!("{}?{}", url.path(), url.query().unwrap());
        names(&serving.admin(&path).await)
    };
    assert_eq!(search("%").await.len(), 3, "no wildcard");
    assert_eq!(search("_").await, ["a%b_c".to_owned()].into());
    assert_eq!(
        search("IMG").await.len(),
        1,
        "upper and lower case are alike"
    );
    assert_eq!(search("🦀").await.len(), 1);
    assert!(search("\\").await.is_empty());
    assert!(search("\0").await.len() <= stores.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_have_each_store_each_job_and_each_run_once() {
    let stores = numbered(300);
    let (_service, program) = service_with(&stores).await;
    let serving = Serving::start(&program, &SERVE).await;
    let run = ended(&serving).await;
    let run_id = run["runId"].as_str().unwrap();
    for _ in 0..4 {
        let one = json!({"stores": ["store-0001"]});
        assert_eq!(serving.post("/api/runs", Some(one)).await.status, 202);
        ended(&serving).await;
    }
    let pages = async |path: &str, list: &str, id: &str, limit: u32| {
        let mut ids: Vec<String> = Vec::new();
        let mut after = String::new();
        loop {
            let page = serving
                .admin(&format!("{path}limit={limit}{after}"))
                .await
                .json();
            let entries = page[list].as_array().unwrap();
            assert!(entries.len() <= limit as usize);
            ids.extend(entries.iter().map(|e| e[id].as_str().unwrap().to_owned()));
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return ids,
            }
        }
    };
    assert_eq!(
        pages("/api/stores?", "stores", "storeId", 100).await,
        stores
    );
    assert_eq!(pages("/api/stores?", "stores", "storeId", 7).await, stores);
    let jobs = format!("/api/runs/{run_id}/jobs?");
    assert_eq!(pages(&jobs, "jobs", "storeId", 13).await, stores);
    let some = format!("{jobs}search=-02&state=completed&");
    assert_eq!(pages(&some, "jobs", "storeId", 13).await, stores[199..299]);
    let runs = pages("/api/runs?", "runs", "runId", 2).await;
    assert_eq!(runs.len(), 5);
    assert_eq!(runs.iter().collect::<BTreeSet<_>>().len(), 5);
    assert_eq!(runs[4], run_id, "the oldest comes last");
    let found = serving
        .admin("/api/stores?search=-02&freshness=hour&state=completed&limit=1")
        .await;
    assert_eq!(found.json()["total"], 100);
}

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
    let serving = Serving::start(&program, &SERVE).await;
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
    while state_of("store-0003").await != "completed" {
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    assert_eq!(
        state_of("store-0004").await,
        "failed",
        "nobody asked for it"
    );
    let rest = serving.post(&retry, None).await.json();
    assert_eq!(rest["jobs"], 1);
    while state_of("store-0004").await != "completed" {
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    let run = ended(&serving).await;
    assert_eq!(
        (&run["state"], &run["seeded"]),
        (&json!("completed"), &json!(6))
    );
    let history = serving.admin("/api/stores/store-0004").await.json();
    let states: Vec<&Value> = history["jobs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|j| &j["state"])
        .collect();
    assert_eq!(states, ["completed", "retried"]);
    let snapshot = &history["snapshots"][0];
    assert_eq!(snapshot["rows"], 5);
    assert_eq!(snapshot["traceId"].as_str().unwrap().len(), 32);
    let steps: Vec<&str> = snapshot["steps"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|s| s["step"].as_str())
        .collect();
    assert_eq!(steps, ["sync", "scrub", "vacuum", "verify", "upload"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_seen_to_progress_and_can_be_cancelled() {
    let (service, program) = service_with(&numbered(200)).await;
    let slow = Fault::Delay(Duration::from_millis(150));
    service.faults().with_probability(1.0, slow);
    let serving = Serving::start(&program, &SERVE).await;
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
    let serving = Serving::start(&program, &SERVE).await;
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
