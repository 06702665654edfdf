//! Notices by a webhook: signed, tried again, each once however many servers there are, and no secret in a log.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::Sha256;
use testkit::{
    cluster::Cluster,
    powersync::Fault,
    program::stop,
    serving::{SERVE, Serving},
    wait,
};
use tokio::net::TcpListener;

const SECRET: &str = "a secret that signs notices";

/// A part of the URL that is in no log.
const TOKEN: &str = "hunter2-hunter2";

#[derive(Debug, Clone, Default)]
struct Receiver {
    got: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
    /// How many requests are answered with 503 before.
    busy: Arc<Mutex<usize>>,
}

impl Receiver {
    /// Where it listens, as long as the test runs.
    async fn start(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook/{TOKEN}", listener.local_addr().unwrap());
        let elsewhere = (StatusCode::TEMPORARY_REDIRECT, [("location", "/hook/x")]);
        let routes = Router::new()
            .route("/hook/{token}", post(take))
            .route("/elsewhere", post(async move || elsewhere))
            .with_state(self.clone());
        tokio::spawn(async { axum::serve(listener, routes).await });
        url
    }

    fn events(&self) -> Vec<Value> {
        let got = self.got.lock().unwrap();
        let mut events: Vec<Value> = got
            .iter()
            .map(|(_, body)| serde_json::from_slice(body).unwrap())
            .collect();
        events.sort_by_key(|event| event["event"].as_str().unwrap_or_default().to_owned());
        events
    }
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let mut busy = receiver.busy.lock().unwrap();
    if *busy > 0 {
        *busy -= 1;
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    receiver.got.lock().unwrap().push((headers, body));
    StatusCode::NO_CONTENT
}

/// Whether the signature is that of time and body.
fn is_signed(headers: &HeaderMap, body: &[u8]) -> bool {
    let signature = headers["seedbed-signature"].to_str().unwrap();
    let (time, hex) = signature.split_once(",v1=").unwrap();
    let time = time.trim_start_matches("t=");
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(format!("{time}.").as_bytes());
    mac.update(body);
    let expected = mac.finalize().into_bytes();
    let expected: String = expected.iter().map(|byte| format!("{byte:02x}")).collect();
    let now = chrono::Utc::now().timestamp();
    hex == expected && (now - time.parse::<i64>().unwrap()).abs() < 60
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_is_told_once_by_several_servers_and_no_log_has_the_url() {
    let receiver = Receiver::default();
    let url = receiver.start().await;
    let mut cluster = Cluster::start().await;
    Serving::prepare(&mut cluster.program);
    for (setting, value) in [
        ("NOTIFY__WEBHOOK", url.as_str()),
        ("NOTIFY__SIGNING_SECRET", SECRET),
        ("NOTIFY__ALLOW_PRIVATE", "true"),
        ("NOTIFY__BACKOFF", "200ms"),
        ("WORKER__MAX_ATTEMPTS", "1"),
        ("LOG__LEVEL", "debug"),
    ] {
        cluster.program.set(setting, value);
    }
    cluster.add_stores(2, 5);
    let refused = Fault::Error {
        status: 422,
        code: "PSYNC_S2305",
    };
    cluster.service.faults().always_for("store-1", refused);
    let workers = cluster.start_workers(1);
    let servers = [
        Serving::start(&cluster.program, &SERVE).await,
        Serving::start(&cluster.program, &SERVE).await,
    ];
    let catalog = cluster.catalog().await;
    wait::until("servers look for what there is to tell", async || {
        catalog.notices_are_looked_for().await.unwrap()
    })
    .await;
    *receiver.busy.lock().unwrap() = 2;
    let ended = cluster.run(&[]).await;
    assert_eq!(ended.code, Some(1), "{ended}");
    // One of two stores has no snapshot, which is less than serve.freshness_objective asks for.
    wait::until("all events are told", async || receiver.events().len() >= 3).await;
    let events = receiver.events();
    let names: Vec<_> = events
        .iter()
        .map(|event| event["event"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["freshness_missed", "new_reason", "run_failed"]);
    assert!(
        events[1]["title"].as_str().unwrap().contains("PSYNC_S2305"),
        "{events:?}"
    );
    for (headers, body) in receiver.got.lock().unwrap().iter() {
        assert!(is_signed(headers, body), "{headers:?}");
        let event: Value = serde_json::from_slice(body).unwrap();
        assert_eq!(
            headers["seedbed-delivery"].to_str().unwrap(),
            event["id"].as_str().unwrap()
        );
    }
    let tested = cluster.program.run(&["notify", "test"]).await;
    assert_eq!(tested.code, Some(0), "{tested}");
    assert_eq!(receiver.events().len(), 4);
    let mut logs = tested.error + &tested.output;
    for server in servers {
        let ended = server.process.stop().await;
        logs += &(ended.error + &ended.output);
    }
    assert!(!logs.contains(TOKEN) && !logs.contains(SECRET), "{logs}");
    catalog.close().await;
    stop(workers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_told_as_it_takes_it_and_where_it_must_not_be_it_is_not_told() {
    let receiver = Receiver::default();
    let url = receiver.start().await;
    let mut cluster = Cluster::start().await;
    cluster.catalog().await.close().await;
    let none = cluster.program.run(&["notify", "test"]).await;
    assert_eq!(none.code, Some(2), "{none}");
    cluster.program.set("NOTIFY__WEBHOOK", &url);
    let plain = cluster.program.run(&["notify", "test"]).await;
    assert_eq!(plain.code, Some(2), "{plain}");
    assert!(
        plain.error.contains("notify.webhook") && !plain.error.contains(TOKEN),
        "{plain}"
    );
    for (place, why) in [
        ("https://127.0.0.1:9/x", "private"),
        ("https://localhost:9/x", "private"),
        ("https://[::ffff:10.0.0.1]/x", "private"),
        ("https://169.254.169.254/x", "link-local"),
    ] {
        cluster.program.set("NOTIFY__WEBHOOK", place);
        let refused = cluster.program.run(&["notify", "test"]).await;
        assert_eq!(refused.code, Some(2), "{place}: {refused}");
        assert!(refused.error.contains(why), "{place}: {refused}");
    }
    cluster.program.set("NOTIFY__ALLOW_PRIVATE", "true");
    cluster
        .program
        .set("NOTIFY__WEBHOOK", "http://169.254.169.254/x");
    let refused = cluster.program.run(&["notify", "test"]).await;
    assert!(refused.error.contains("link-local"), "{refused}");
    let elsewhere = url.replace(&format!("hook/{TOKEN}"), "elsewhere");
    cluster.program.set("NOTIFY__WEBHOOK", &elsewhere);
    let redirected = cluster.program.run(&["notify", "test"]).await;
    assert_eq!(redirected.code, Some(2), "{redirected}");
    assert!(receiver.events().is_empty(), "a redirect is not followed");

    cluster.program.set("NOTIFY__WEBHOOK", &url);
    cluster.program.set("NOTIFY__TEMPLATE", "slack");
    assert_eq!(cluster.program.run(&["notify", "test"]).await.code, Some(0));
    assert!(
        receiver.events()[0]["text"]
            .as_str()
            .unwrap()
            .starts_with("*Seedbed: ")
    );
    cluster.program.set("NOTIFY__TEMPLATE", "pagerduty");
    let unkeyed = cluster.program.run(&["notify", "test"]).await;
    assert!(unkeyed.error.contains("notify.routing_key"), "{unkeyed}");
    cluster.program.set("NOTIFY__ROUTING_KEY", "R0");
    assert_eq!(cluster.program.run(&["notify", "test"]).await.code, Some(0));
    let paged = receiver.events().remove(1);
    assert_eq!(paged["routing_key"], "R0");
    assert_eq!(paged["payload"]["severity"], "info");
    // Before there is a catalog, which it does not make.
    let missing = cluster.program.path("none.db");
    let place = format!("sqlite:{}", missing.display());
    cluster.program.set("CATALOG__URL", place);
    let first = cluster.program.run(&["notify", "test"]).await;
    assert_eq!(first.code, Some(0), "{first}");
    assert_eq!(receiver.events().len(), 3);
    assert!(!missing.exists());
}
