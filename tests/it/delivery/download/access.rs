//! `GET /database` and the files behind it: who gets what, and who does not.

use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use testkit::{
    pipeline::same_rows,
    powersync::PowerSync,
    program::Program,
    serving::{Answer, Serving, client_token, database_path, now},
};

pub(crate) const SERVE: [&str; 4] = ["local", "--stores", "stores.ndjson", "--serve"];

/// Stores of the service; the last two have names that are paths and HTML elsewhere.
const STORES: [&str; 4] = ["1", "2", "a b%2F..&<i>\"", "ünï?#"];

pub(crate) async fn service_and_program() -> (PowerSync, Program) {
    let service = PowerSync::builder().start().await.unwrap();
    let mut program = Program::new(&service);
    Serving::prepare(&mut program);
    let mut list = String::new();
    for (seed, store) in STORES.iter().enumerate() {
        service.add_generated_store(store, 20, seed as u64 + 1);
        list += &format!("{}\n", json!({ "store_id": store }));
    }
    program.write("stores.ndjson", list);
    (service, program)
}

/// A server whose stores are all seeded.
async fn seeded() -> (PowerSync, Program, Serving) {
    let (service, program) = service_and_program().await;
    let serving = serve(&program).await;
    (service, program, serving)
}

async fn serve(program: &Program) -> Serving {
    let serving = Serving::start(program, &SERVE).await;
    for store in STORES {
        serving
            .database_until(store, |answer| answer.status == 200)
            .await;
    }
    serving
}

fn url_of(answer: &Answer) -> String {
    answer.json()["databaseUrl"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_downloads_its_stores_snapshot_by_a_signed_url() {
    let (service, program, serving) = seeded().await;
    for store in STORES {
        let answer = serving.database(store).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("cache-control"), "no-store");
        let database = answer.json();
        assert_eq!(database["encoding"], "identity");
        assert_eq!(database["schemaVersion"], 12);
        assert!(
            database["checkpoint"]
                .as_str()
                .unwrap()
                .parse::<u64>()
                .unwrap()
                > 0
        );
        for time in ["expiresAt", "createdAt"] {
            let time = database[time].as_str().unwrap();
            assert!(chrono::DateTime::parse_from_rfc3339(time).is_ok(), "{time}");
        }
        let file = serving.get(&url_of(&answer), None).await;
        assert_eq!(file.status, 200, "{}", url_of(&answer));
        assert_eq!(
            file.body.len(),
            database["bytes"].as_u64().unwrap() as usize
        );
        let sha256 = Sha256::digest(&file.body);
        assert_eq!(database["sha256"], json!(format!("{sha256:x}")));
        program.write("downloaded.sqlite", &file.body);
        same_rows(&service, store, &program.path("downloaded.sqlite"));
    }
}

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
async fn a_signed_url_is_good_for_its_own_file_and_time_only() {
    let (_service, mut program) = service_and_program().await;
    program.set("DOWNLOAD__URL_LIFETIME", "2s");
    let serving = serve(&program).await;
    let (one, two) = (serving.database("1").await, serving.database("2").await);
    let (one, two) = (url_of(&one), url_of(&two));
    let refused = async |url: &str| serving.get(url, None).await.refusal();
    let path = |url: &str| url.split('?').next().unwrap().to_owned();
    let query = |url: &str| url.split('?').nth(1).unwrap().to_owned();
    let bad = (403, "bad_signature".to_owned());
    assert_eq!(refused(&path(&one)).await, bad, "unsigned");
    assert_eq!(
        refused(&format!("{}?{}", path(&two), query(&one))).await,
        bad,
        "another store's"
    );
    assert_eq!(
        refused(&one.replace("signature=", "signature=A")).await,
        bad
    );
    let (before, expires) = one.split_once("expires=").unwrap();
    let (expires, after) = expires.split_once('&').unwrap();
    let later = expires.parse::<i64>().unwrap() + 3_600;
    assert_eq!(
        refused(&format!("{before}expires={later}&{after}")).await,
        bad
    );
    assert_eq!(
        refused(&format!("{before}expires=never&{after}")).await,
        bad
    );
    let manifest = one.replace(".sqlite?", ".json?");
    assert_eq!(refused(&manifest).await, bad);
    for traversal in [
        "../../etc/passwd",
        "..%2F..%2Fetc%2Fpasswd",
        "%2e%2e/%2e%2e/etc/passwd",
        "1/../2",
    ] {
        let url = format!("{}/snapshots/{traversal}?{}", serving.url, query(&one));
        let answer = serving.get(&url, None).await;
        assert!(matches!(answer.status.as_u16(), 403 | 404), "{answer:?}");
    }
    let expired = loop {
        let answer = serving.get(&one, None).await;
        if answer.status != 200 {
            break answer;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert_eq!(expired.refusal(), (403, "expired".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_can_be_resumed_and_is_not_repeated_without_need() {
    let (_service, program, serving) = seeded().await;
    let url = url_of(&serving.database("1").await);
    let whole = serving.get(&url, None).await;
    let bytes = whole.body.len();
    assert_eq!(whole.header("accept-ranges"), "bytes");
    assert_eq!(whole.header("content-length"), bytes.to_string());
    let etag = whole.header("etag").to_owned();
    assert!(etag.starts_with('"') && etag.ends_with('"'), "{etag}");

    let rest = serving
        .get_with(&url, &[("range", "bytes=1000-"), ("if-range", &etag)])
        .await;
    assert_eq!(rest.status, 206);
    assert_eq!(
        rest.header("content-range"),
        format!("bytes 1000-{}/{bytes}", bytes - 1)
    );
    assert_eq!(rest.body, whole.body[1000..]);
    let last = serving.get_with(&url, &[("range", "bytes=-5")]).await;
    assert_eq!(last.body, whole.body[bytes - 5..]);
    let other = serving
        .get_with(&url, &[("range", "bytes=1000-"), ("if-range", "\"x\"")])
        .await;
    assert_eq!((other.status.as_u16(), other.body.len()), (200, bytes));
    let beyond = serving
        .get_with(&url, &[("range", &format!("bytes={bytes}-"))])
        .await;
    assert_eq!(beyond.refusal(), (416, "range_beyond_end".to_owned()));
    assert_eq!(beyond.header("content-range"), format!("bytes */{bytes}"));
    let known = serving.get_with(&url, &[("if-none-match", &etag)]).await;
    assert_eq!((known.status.as_u16(), known.body.len()), (304, 0));
    let head = serving.send(Method::HEAD, &url, None, None).await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), bytes.to_string());

    let directory = std::fs::read_dir(program.path("seedbed-data/snapshots/1")).unwrap();
    for file in directory {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }
    assert_eq!(
        serving.get(&url, None).await.refusal(),
        (404, "gone".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrapped_file_says_how_it_is_wrapped() {
    let (_service, mut program) = service_and_program().await;
    program.set("SNAPSHOTS__RENDITIONS", "gzip,zstd");
    let serving = serve(&program).await;
    let token = client_token(json!({"store_id": "1"}));
    for (query, encoding) in [
        ("", "gzip"),
        ("&encoding=gzip", "gzip"),
        ("&encoding=zstd", "zstd"),
    ] {
        let path = format!("/database?store_id=1{query}");
        let answer = serving.get(&path, Some(&token)).await;
        assert_eq!(answer.json()["encoding"], encoding);
        let file = serving.get(&url_of(&answer), None).await;
        assert_eq!(file.header("content-encoding"), encoding);
        assert_eq!(answer.json()["bytes"], json!(file.body.len()));
    }
    let plain = serving
        .get("/database?store_id=1&encoding=identity", Some(&token))
        .await;
    assert_eq!(plain.refusal(), (404, "no_such_encoding".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_snapshot_is_not_handed_out() {
    let (_service, mut program) = service_and_program().await;
    program.set("DOWNLOAD__MAX_AGE", "1s");
    let serving = Serving::start(&program, &SERVE).await;
    let old = |answer: &Answer| answer.status == 404 && answer.refusal().1 == "snapshot_too_old";
    let answer = serving.database_until("1", old).await;
    assert!(
        answer.json()["message"]
            .as_str()
            .unwrap()
            .contains("older than 1s")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_may_download_only_where_a_setting_says_so() {
    let (_service, mut program) = service_and_program().await;
    program.set("DOWNLOAD__ANONYMOUS", "true");
    let both = program.run(&SERVE).await;
    assert_eq!(both.code, Some(2), "{both}");
    assert!(both.error.contains("download.anonymous"), "{both}");

    let mut program = {
        let (service, _) = (&_service, ());
        let mut program = Program::new(service);
        program.write("stores.ndjson", "{\"store_id\":\"1\"}\n");
        program.set("SERVE__PUBLIC_URL", "https://seedbed.example.com/below");
        program
    };
    let closed = Serving::start(&program, &SERVE).await;
    let answer = closed.get(&database_path("1"), None).await;
    assert_eq!(answer.refusal(), (403, "downloads_disabled".to_owned()));
    assert!(closed.process.kill().await);
    program.set("DOWNLOAD__ANONYMOUS", "true");
    program.set("DOWNLOAD__ON_DEMAND", "true");
    let unbounded = program.run(&SERVE).await;
    assert_eq!(unbounded.code, Some(2), "{unbounded}");
    assert!(
        unbounded.error.contains("download.on_demand"),
        "{unbounded}"
    );
    program.unset("DOWNLOAD__ON_DEMAND");
    let open = Serving::start(&program, &SERVE).await;
    let answer = loop {
        let answer = open.get(&database_path("1"), None).await;
        if answer.status == 200 {
            break answer;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    let url = url_of(&answer);
    assert!(
        url.starts_with("https://seedbed.example.com/below/snapshots/1/"),
        "{url}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_without_a_snapshot_is_seeded_because_a_client_asks_but_once() {
    let (service, mut program) = service_and_program().await;
    program.set("DOWNLOAD__ON_DEMAND", "true");
    let serving = serve(&program).await;
    // A store that came after the last sweep, and one that is in no list.
    service.add_generated_store("new", 10, 9);
    let list = std::fs::read_to_string(program.path("stores.ndjson")).unwrap();
    program.write("stores.ndjson", format!("{list}{{\"store_id\":\"new\"}}\n"));
    let first = serving.database("new").await;
    assert_eq!(first.refusal(), (202, "being_seeded".to_owned()));
    assert!(first.header("retry-after").parse::<u32>().unwrap() >= 1);
    let again = futures::future::join_all((0..20).map(|_| serving.database("new"))).await;
    for answer in again {
        assert!(matches!(answer.status.as_u16(), 200 | 202), "{answer:?}");
    }
    let seeded = serving
        .database_until("new", |answer| answer.status == 200)
        .await;
    assert!(url_of(&seeded).contains("/snapshots/new/"));
    assert_eq!(
        service.metrics().store("new").requests,
        1,
        "it was seeded once"
    );

    let unknown = serving.database("nowhere").await;
    assert_eq!(
        unknown.status, 202,
        "only the source knows that there is none"
    );
    let unknown = serving
        .database_until("nowhere", |answer| answer.status == 404)
        .await;
    let wait: u64 = unknown.header("retry-after").parse().unwrap();
    assert!((1..=600).contains(&wait), "{wait}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_asks_too_often_is_slowed_down() {
    let (_service, mut program) = service_and_program().await;
    program.set("SERVE__RATE_LIMIT", "2");
    program.set("SERVE__BEHIND_PROXY", "true");
    let serving = Serving::start(&program, &SERVE).await;
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
    let serving = Serving::start(&program, &SERVE).await;
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
