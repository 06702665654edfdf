//! The gauges of what people decide, and of what was promised: each says what happens, and when it is over.

use axum::{extract::Request, http::Method};
use reqwest::StatusCode;
use serde_json::{Value, json};
use testkit::{
    objects::ObjectServer,
    program::Program,
    serving::{LOCAL_SERVE, Serving, prepared},
    wait,
};

/// The gauges of a delivery to which nobody has done anything, without those of single forms.
const USUAL: [(&str, f64); 6] = [
    (ALL, 1.0),
    ("seedbed_stores_withdrawn", 0.0),
    ("seedbed_latest_stale", 0.0),
    ("seedbed_stores_forgotten", 0.0),
    ("seedbed_stores_forgotten_left", 0.0),
    ("seedbed_freshness_share", 1.0),
];

const ALL: &str = r#"seedbed_delivery_share_ratio{seedbed_form="all"}"#;
const FILE: &str = r#"seedbed_delivery_share_ratio{seedbed_form="file"}"#;
const COMPACT: &str = r#"seedbed_delivery_share_ratio{seedbed_form="compact"}"#;
const STREAM: &str = r#"seedbed_delivery_share_ratio{seedbed_form="stream"}"#;
const SEEDED: &str = r#"seedbed_stores{seedbed_state="with_snapshot"}"#;
const BUDGET: &str = "seedbed_freshness_budget";

/// Whether a request removes objects, one or several.
fn removes(request: &Request) -> bool {
    let together = request.method() == Method::POST && request.uri().query() == Some("delete");
    together || request.method() == Method::DELETE
}

/// Waits until each gauge has its value: a server measures every ten seconds.
async fn gauges_are(serving: &Serving, expected: &[(&str, f64)]) {
    for (name, value) in expected {
        wait::until(&format!("{name} is {value}"), async || {
            let metrics = serving.metrics().await;
            metrics
                .get(*name)
                .is_some_and(|told| (told - value).abs() < 1e-9)
        })
        .await;
    }
}

async fn decide(serving: &Serving, path: &str, body: Option<Value>) {
    let answer = serving.post(path, body).await;
    assert!(answer.status.is_success(), "{path}: {answer:?}");
}

/// Adds an hour of yesterday to the record, in which a tenth of the stores were fresh.
fn record_a_bad_hour(program: &Program) {
    let catalog = rusqlite::Connection::open(program.path("seedbed-data/catalog.db")).unwrap();
    let yesterday = i64::try_from(testkit::serving::now() / 86_400 - 1).unwrap() * 24;
    let add = "INSERT INTO freshness (hour, stores, fresh) VALUES (?1, 1000, 100)";
    catalog.execute(add, [yesterday]).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn gauges_tell_what_was_decided_and_promised_and_when_it_is_over() {
    let objects = ObjectServer::s3().await;
    let (_service, mut program) = prepared(&["1", "2", "3"], 5).await;
    program.set("SNAPSHOTS__URL", &objects.url);
    program.set_variables(objects.variables.clone());
    program.set("SNAPSHOTS__LATEST", "true");
    program.set("SERVE__RATE_LIMIT", "0");
    program.set("SERVE__FRESHNESS_AGE", "2h");
    program.set("SERVE__FRESHNESS_OBJECTIVE", "0.9");
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
    let promised = [
        ("seedbed_freshness_objective", 0.9),
        ("seedbed_freshness_age_seconds", 7_200.0),
        (BUDGET, 1.0),
    ];
    let forms = [(FILE, 1.0), (COMPACT, 1.0), (STREAM, 1.0)];
    gauges_are(&serving, &[(SEEDED, 3.0)]).await;
    gauges_are(&serving, &[&USUAL[..], &promised, &forms].concat()).await;

    // The object storage removes nothing, so that what has to go stays.
    objects.faults.refuse(removes, 403, "");
    decide(&serving, "/api/stores/1/withdraw", None).await;
    let forget = json!({"storeId": "2"});
    decide(&serving, "/api/stores/2/forget", Some(forget)).await;
    let part = json!({"what": "compact", "share": 25});
    decide(&serving, "/api/delivery", Some(part)).await;
    decide(&serving, "/api/delivery", Some(json!({"share": 0}))).await;
    record_a_bad_hour(&program);
    gauges_are(
        &serving,
        &[
            (ALL, 0.0),
            (FILE, 1.0),
            (COMPACT, 0.25),
            (STREAM, 1.0),
            ("seedbed_stores_withdrawn", 1.0),
            ("seedbed_latest_stale", 1.0),
            ("seedbed_stores_forgotten", 1.0),
            ("seedbed_stores_forgotten_left", 1.0),
            // Of the stores 1 and 3.
            ("seedbed_freshness_share", 0.5),
        ],
    )
    .await;
    wait::until("the budget is spent", async || {
        serving.metrics().await[BUDGET] < 0.0
    })
    .await;

    objects.faults.refuse(|_| false, 403, "");
    decide(&serving, "/api/delivery", Some(json!({"share": 100}))).await;
    let whole = json!({"what": "compact", "share": 100});
    decide(&serving, "/api/delivery", Some(whole)).await;
    decide(&serving, "/api/stores/2/allow", None).await;
    let seeding = serving.post("/api/stores/1/seed", None).await;
    assert_eq!(seeding.status, StatusCode::ACCEPTED, "{seeding:?}");
    gauges_are(&serving, &[&USUAL[..], &forms].concat()).await;
    let budget = serving.metrics().await[BUDGET];
    assert!(budget < 0.0, "what was spent stays spent: {budget}");
}
