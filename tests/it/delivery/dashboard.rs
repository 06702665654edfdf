//! The dashboard in a browser: Node runs `tests/dashboard` with Debian's chromium, during a run of `seedbed local --serve`
//! in which stores fail.

use std::{path::Path, sync::Arc, time::Duration};

use axum::{Router, routing::post};
use serde_json::json;
use testkit::{
    machine::run_node_tests,
    powersync::{Fault, PowerSync},
    program::Program,
    serving::{ADMIN_TOKEN, LOCAL_SERVE, Serving, client_token, now, prepared},
};
use tokio::net::TcpListener;

const STORES: usize = 200;

/// A store's id that is markup elsewhere and turns and hides what stands beside it, and whose job fails.
const HOSTILE: &str = "<img src=x onerror=alert(1)>&\"'\u{202e}\u{200b}x";

/// A store's id in a script that is read from the right.
const RTL: &str = "מלאי-42";

/// How late the service answers, so that there is progress to be seen.
const SLOW: Duration = Duration::from_millis(200);

#[tokio::test(flavor = "multi_thread")]
async fn people_follow_a_run_find_what_failed_and_have_it_tried_again() {
    let numbered = (1..STORES).map(|number| format!("store-{number:04}"));
    let others = [HOSTILE.to_owned(), RTL.to_owned()];
    let stores: Vec<String> = numbered.chain(others).collect();
    let (service, mut program) = prepared(&stores, 5).await;
    program.set("COST__STORAGE", "23");
    program.set("COST__TRANSFER", "90");
    let service = Arc::new(service);
    for store in ["store-0007", "store-0042", HOSTILE] {
        let refused = Fault::Error {
            status: 422,
            code: "PSYNC_S2305",
        };
        service.faults().always_for(store, refused);
    }
    service.faults().with_probability(1.0, Fault::Delay(SLOW));
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
    let heal = healing(service.clone()).await;
    remember_a_month(&program);

    let claims = json!({"store_id": "store-0001", "exp": now() + 3_600});
    let client = client_token(claims);
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboard");
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    let picture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/images/dashboard.png");
    let variables = [
        ("DASHBOARD_URL", Path::new(&serving.url)),
        ("DASHBOARD_TOKEN", Path::new(ADMIN_TOKEN)),
        ("DASHBOARD_HOSTILE_STORE", Path::new(HOSTILE)),
        ("DASHBOARD_RTL_STORE", Path::new(RTL)),
        ("DASHBOARD_HEAL_URL", Path::new(&heal)),
        ("DASHBOARD_CLIENT_TOKEN", Path::new(&client)),
        ("DASHBOARD_MODULES", &target.join("test-tools/dashboard")),
        ("DASHBOARD_SCREENSHOTS", &target.join("screenshots")),
        ("DASHBOARD_PICTURE", &picture),
    ];
    run_node_tests(&package, "dashboard.test.js", variables).await;
}

/// As if servers had recorded for 29 days how fresh the stores were: on two of them, fewer than was promised.
fn remember_a_month(program: &Program) {
    let catalog = rusqlite::Connection::open(program.path("seedbed-data/catalog.db")).unwrap();
    let today = i64::try_from(now() / 86_400).unwrap();
    for day in 1..30 {
        let fresh = match day {
            9 => 94_000,
            21 => 97_500,
            _ => 100_000,
        };
        let add = "INSERT INTO freshness (hour, stores, fresh) VALUES (?1, 100000, ?2)";
        catalog.execute(add, [(today - day) * 24, fresh]).unwrap();
    }
}

/// Where a POST takes all faults away. It listens as long as the test runs.
async fn healing(service: Arc<PowerSync>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let heal = post(async move || service.faults().clear());
    tokio::spawn(async { axum::serve(listener, Router::new().route("/", heal)).await });
    url
}
