//! Who may ask `GET /database`, how often, from which pages, and what the log says of it.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{
    program::Program,
    serving::{LOCAL_SERVE, Serving, client_token, database_path, now},
    wait,
};

use super::support::{seeded, serve, service_and_program, url_of};

#[tokio::test(flavor = "multi_thread")]
async fn nobody_learns_of_a_store_that_the_token_does_not_name() {
    let (_service, _program, serving) = seeded().await;
    let ask = async |store: &str, token: Option<&str>| {
        let answer = serving.get(&database_path(store), token).await;
        (answer.refusal(), String::from_utf8(answer.body).unwrap())
    };
    let bad = |claims: Value| Some(client_token(claims));
    let mut altered = client_token(json!({"store_id": "1"}));
    let last = if altered.pop() == Some('A') { 'B' } else { 'A' };
    altered.push(last);
    for (token, status) in [
        (None, 401),
        (Some(String::new()), 401),
        (Some("not.a.jwt".to_owned()), 401),
        (Some(altered), 401),
        (bad(json!({"store_id": "1", "exp": now() - 60})), 401),
        (bad(json!({"store_id": "1", "nbf": now() + 600})), 401),
        (bad(json!({"sub": "1"})), 403),
        (bad(json!({"store_id": "3"})), 403),
        (bad(json!({"store_id": ["3", 4]})), 403),
        (bad(json!({"store_id": {"1": true}})), 403),
    ] {
        let there = ask("1", token.as_deref()).await;
        let nowhere = ask("nowhere", token.as_deref()).await;
        assert_eq!(there.0.0, status, "{there:?}");
        assert_eq!(there, nowhere, "the answers differ");
    }
    let missing = serving.get(&database_path("1"), None).await;
    assert_eq!(missing.header("www-authenticate"), "Bearer");
    let basic = serving
        .get_with(&database_path("1"), &[("authorization", "Basic eDp5")])
        .await;
    assert_eq!(basic.status, 401);
    // Who may know is told.
    let answer = serving.database("nowhere").await;
    assert_eq!(answer.refusal(), (404, "no_snapshot".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_make_no_sense_are_refused() {
    let (_service, _program, serving) = seeded().await;
    let token = client_token(json!({"store_id": "1"}));
    for path in [
        "/database",
        "/database?store_id=",
        "/database?store_id=..%2F..%2Fetc%2Fpasswd",
        "/database?store_id=a%00b",
        "/database?store_id=1&encoding=lzma",
        "/database?store_id=1&store_id=2",
    ] {
        let answer = serving.get(path, Some(&token)).await;
        assert_eq!(
            answer.refusal(),
            (400, "invalid_request".to_owned()),
            "{path}"
        );
    }
    let long = format!("/database?store_id={}", "x".repeat(256));
    assert_eq!(serving.get(&long, Some(&token)).await.status, 400);
    let gzip = serving
        .get("/database?store_id=1&encoding=gzip", Some(&token))
        .await;
    assert_eq!(gzip.refusal(), (404, "no_such_encoding".to_owned()));
    let post = serving
        .send(Method::POST, "/database?store_id=1", Some(&token), None)
        .await;
    assert_eq!(post.status, 405);
    let nothing = serving.get("/etc/passwd", Some(&token)).await;
    assert_eq!(nothing.refusal(), (404, "unknown_path".to_owned()));
    let evil = serving
        .request(Method::GET, &database_path("1"))
        .bearer_auth(&token)
        .header("host", "evil.example/x?y")
        .send()
        .await
        .unwrap();
    assert_eq!(evil.status(), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_may_download_only_where_a_setting_says_so() {
    let (service, mut program) = service_and_program().await;
    program.set("DOWNLOAD__ANONYMOUS", "true");
    let both = program.run(&LOCAL_SERVE).await;
    assert_eq!(both.code, Some(2), "{both}");
    assert!(both.error.contains("download.anonymous"), "{both}");

    // One that knows no clients.
    let mut program = Program::new(&service);
    program.write("stores.ndjson", "{\"store_id\":\"1\"}\n");
    program.set("SERVE__PUBLIC_URL", "https://seedbed.example.com/below");
    let closed = Serving::start(&program, &LOCAL_SERVE).await;
    let answer = closed.get(&database_path("1"), None).await;
    assert_eq!(answer.refusal(), (403, "downloads_disabled".to_owned()));
    assert!(closed.process.kill().await);
    program.set("DOWNLOAD__ANONYMOUS", "true");
    program.set("DOWNLOAD__ON_DEMAND", "true");
    let unbounded = program.run(&LOCAL_SERVE).await;
    assert_eq!(unbounded.code, Some(2), "{unbounded}");
    assert!(
        unbounded.error.contains("download.on_demand"),
        "{unbounded}"
    );
    program.unset("DOWNLOAD__ON_DEMAND");
    let open = Serving::start(&program, &LOCAL_SERVE).await;
    let answer = wait::for_some("the store is seeded", async || {
        let answer = open.get(&database_path("1"), None).await;
        (answer.status == 200).then_some(answer)
    });
    let answer = answer.await;
    let url = url_of(&answer);
    assert!(
        url.starts_with("https://seedbed.example.com/below/snapshots/1/"),
        "{url}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_asks_too_often_is_slowed_down() {
    let (_service, mut program) = service_and_program().await;
    program.set("SERVE__RATE_LIMIT", "2");
    program.set("SERVE__BEHIND_PROXY", "true");
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
    let ask = async |client: &str| {
        let headers = [("x-forwarded-for", client)];
        serving.get_with("/healthz", &headers).await
    };
    let mut refused = None;
    for _ in 0..100 {
        let answer = ask("10.0.0.1").await;
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("a hundred at once are too many");
    assert_eq!(refused.refusal(), (429, "too_many_requests".to_owned()));
    assert!(refused.header("retry-after").parse::<u32>().unwrap() >= 1);
    assert_eq!(ask("10.0.0.2").await.status, 200);
    assert_eq!(
        ask("10.0.0.1, 10.0.0.3").await.status,
        200,
        "the proxy's word counts"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_chosen_origins_may_ask_and_others_may_not() {
    let (_service, mut program) = service_and_program().await;
    program.set(
        "SERVE__CORS_ORIGINS",
        "https://app.example.com, https://b.example.com",
    );
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
    let ask = async |origin: &str| {
        let headers = [("origin", origin)];
        let answer = serving.get_with(&database_path("1"), &headers).await;
        answer.header("access-control-allow-origin").to_owned()
    };
    assert_eq!(
        ask("https://app.example.com").await,
        "https://app.example.com"
    );
    assert_eq!(ask("https://b.example.com").await, "https://b.example.com");
    assert_eq!(ask("https://evil.example.com").await, "");
    let preflight = serving
        .request(Method::OPTIONS, &database_path("1"))
        .header("origin", "https://app.example.com")
        .header("access-control-request-method", "GET")
        .header("access-control-request-headers", "authorization")
        .send()
        .await
        .unwrap();
    assert!(preflight.status().is_success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_logged_has_the_callers_trace_and_no_token_and_no_signature() {
    let (_service, mut program) = service_and_program().await;
    program.set("LOG__LEVEL", "debug");
    program.set("LOG__FORMAT", "json");
    let serving = serve(&program).await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let token = client_token(json!({"store_id": "1"}));
    let answer = serving
        .request(Method::GET, &database_path("1"))
        .bearer_auth(&token)
        .header("traceparent", format!("00-{trace}-b7ad6b7169203331-01"))
        .send()
        .await
        .unwrap();
    let database: Value = answer.json().await.unwrap();
    let url = database["databaseUrl"].as_str().unwrap();
    serving.get(url, None).await;
    let mut process = serving.process;
    let logged = |process: &testkit::program::Process| {
        let log = process.error();
        log.contains(trace) && log.contains("/snapshots/1/")
    };
    process.until("both requests are logged", logged).await;
    let log = process.error();
    let (_, signature) = url.split_once("signature=").unwrap();
    let (_, last) = token.rsplit_once('.').unwrap();
    assert!(!log.contains(signature), "a signed URL is in the log");
    assert!(!log.contains(last), "a token is in the log");
}
