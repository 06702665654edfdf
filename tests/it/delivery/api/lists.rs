//! Pages of stores, jobs and runs, and stores with names that are paths, patterns or markup elsewhere.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use testkit::serving::{Answer, LOCAL_SERVE, Serving};

use super::support::{ended, numbered, service_with};

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

fn path_of(store: &str) -> String {
    let mut url = reqwest::Url::parse("http://localhost").unwrap();
    url.path_segments_mut()
        .unwrap()
        .extend(["api", "stores", store]);
    url.path().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_keep_their_names_wherever_they_are_shown_and_searched() {
    let stores = HOSTILE.map(str::to_owned);
    let (_service, program) = service_with(&stores).await;
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
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
    let nul = serving.admin("/api/stores?search=%00").await;
    assert_eq!(nul.refusal(), (400, "invalid_request".to_owned()));
    assert!(nul.message().contains("%00"), "{nul:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_have_each_store_each_job_and_each_run_once() {
    let stores = numbered(300);
    let (_service, program) = service_with(&stores).await;
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
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
