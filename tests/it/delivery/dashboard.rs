//! The dashboard in a browser: Node runs `tests/dashboard` with Debian's chromium, during a run of `seedbed local --serve`
//! in which stores fail.

use std::{path::Path, sync::Arc, time::Duration};

use axum::{Router, routing::post};
use serde_json::json;
use testkit::{
    powersync::{Fault, PowerSync},
    program::Program,
    serving::{ADMIN_TOKEN, Serving},
};
use tokio::{net::TcpListener, process::Command};

const STORES: usize = 200;

/// A store's id that is markup elsewhere, and whose job fails.
const HOSTILE: &str = r#"<img src=x onerror=alert(1)>&"'"#;

/// How late the service answers, so that there is progress to be seen.
const SLOW: Duration = Duration::from_millis(200);

/// Longer than all that is done in the browser takes.
const LIMIT: Duration = Duration::from_secs(300);

#[tokio::test(flavor = "multi_thread")]
async fn people_follow_a_run_find_what_failed_and_have_it_tried_again() {
    let service = Arc::new(PowerSync::builder().start().await.unwrap());
    let mut program = Program::new(&*service);
    Serving::prepare(&mut program);
    let mut list = String::new();
    let numbered = (1..STORES).map(|number| format!("store-{number:04}"));
    for store in numbered.chain([HOSTILE.to_owned()]) {
        service.add_generated_store(&store, 5, 1);
        list += &format!("{}\n", json!({ "store_id": store }));
    }
    program.write("stores.ndjson", list);
    for store in ["store-0007", "store-0042", HOSTILE] {
        let refused = Fault::Error {
            status: 422,
            code: "PSYNC_S2305",
        };
        service.faults().always_for(store, refused);
    }
    service.faults().with_probability(1.0, Fault::Delay(SLOW));
    let local = ["local", "--serve", "--stores", "stores.ndjson"];
    let serving = Serving::start(&program, &local).await;
    let heal = healing(service.clone()).await;

    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboard");
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    let mut node = Command::new("node");
    node.args(["--test", "--test-reporter=spec", "dashboard.test.js"])
        .current_dir(&package)
        .env("DASHBOARD_URL", &serving.url)
        .env("DASHBOARD_TOKEN", ADMIN_TOKEN)
        .env("DASHBOARD_HOSTILE_STORE", HOSTILE)
        .env("DASHBOARD_HEAL_URL", heal)
        .env("DASHBOARD_MODULES", target.join("test-tools/dashboard"))
        .env("DASHBOARD_SCREENSHOTS", target.join("screenshots"))
        .kill_on_drop(true);
    let output = tokio::time::timeout(LIMIT, node.output()).await;
    let output = output.expect("the browser is done in time").unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Where a POST takes all faults away. It listens as long as the test runs.
async fn healing(service: Arc<PowerSync>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let heal = post(async move || service.faults().clear());
    tokio::spawn(async { axum::serve(listener, Router::new().route("/", heal)).await });
    url
}
