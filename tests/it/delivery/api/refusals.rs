//! Who may use the API, and what it says to requests that make no sense.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::json;
use testkit::serving::{ADMIN_TOKEN, Answer, LOCAL_SERVE, Serving};

use super::support::{ended, numbered, service_with};

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
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
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
    let closed = Serving::start(&program, &LOCAL_SERVE).await;
    let disabled: BTreeSet<_> = [(403, "admin_disabled".to_owned())].into();
    assert_eq!(each(&closed, None).await, disabled);
    assert_eq!(each(&closed, Some("")).await, disabled);
    assert!(closed.process.kill().await);

    program.set("SERVE__OPEN_ADMIN", "true");
    let open = Serving::start(&program, &LOCAL_SERVE).await;
    assert_eq!(open.get("/api/overview", None).await.status, 200);
    // CSRF: a page of another site, in a browser on the trusted network.
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
    // DNS rebinding: a foreign host name that resolves to this server.
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
    let named = Serving::start(&program, &LOCAL_SERVE).await;
    let host = [("host", "seedbed.example")];
    assert_eq!(named.get_with("/api/overview", &host).await.status, 200);
}

/// Nobody who asks knows what this program is made of.
fn in_our_words(answer: &Answer) {
    let said = answer.message();
    for word in [
        "deserialize",
        "Expected request",
        "struct",
        "a sequence",
        "one of `",
        "u32",
        "buffer",
    ] {
        assert!(!said.contains(word), "{word}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_make_no_sense_say_why() {
    let (_service, program) = service_with(&numbered(2)).await;
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
    ended(&serving).await;
    let invalid = (400, "invalid_request".to_owned());
    for path in [
        "/api/runs?limit=0",
        "/api/runs?limit=201",
        "/api/runs?limit=x",
        "/api/runs?state=odd",
        "/api/runs?after=odd",
        "/api/runs?unknown=1",
        "/api/overview?unknown=1",
        "/api/events?unknown=1",
        "/api/workers?unknown=1",
        "/api/tokens?unknown=1",
        "/api/session?unknown=1",
        "/api/freshness?unknown=1",
        "/api/audit?search=%00",
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
        let answer = serving.admin(path).await;
        assert_eq!(answer.refusal(), invalid, "{path}");
        in_our_words(&answer);
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
        json!({"full": "yes"}),
    ] {
        let answer = serving.post("/api/runs", Some(body.clone())).await;
        assert_eq!(answer.refusal(), invalid, "{body}");
        in_our_words(&answer);
    }
    for body in [json!(null), json!([]), json!(7), json!("all")] {
        let answer = serving.post("/api/runs", Some(body.clone())).await;
        assert_eq!(answer.refusal(), invalid, "{body}");
        let said = answer.message();
        assert!(
            said.contains("JSON object") && said.contains("stores, limit, onlyOlderThan"),
            "{said}"
        );
    }
    for name in ["", " a", "a\u{7}", &"x".repeat(65)] {
        let answer = serving
            .post("/api/tokens", Some(json!({"name": name})))
            .await;
        assert_eq!(answer.refusal(), invalid, "{name:?}");
    }
    let named = Some(json!({"name": "ci"}));
    assert_eq!(serving.post("/api/tokens", named.clone()).await.status, 201);
    let taken = serving.post("/api/tokens", named).await;
    assert_eq!(taken.refusal(), (409, "token_name".to_owned()));
    let refused = async |body: &'static str, content_type: &str| {
        let request = serving
            .request(Method::POST, "/api/runs")
            .bearer_auth(ADMIN_TOKEN);
        let answer = request
            .header("content-type", content_type)
            .body(body)
            .send()
            .await;
        let answer = Answer::read(answer.unwrap()).await;
        in_our_words(&answer);
        (answer.status.as_u16(), answer.message())
    };
    let (status, said) = refused("{\n  \"stores\": x", "application/json").await;
    assert_eq!(status, 400);
    assert!(said.contains("line 2, column"), "{said}");
    let (status, said) = refused("x=1", "application/x-www-form-urlencoded").await;
    assert_eq!(status, 415);
    assert!(said.contains("Content-Type: application/json"), "{said}");
    let large = json!({"stores": vec!["x".repeat(200); 5_000]});
    let large = serving.post("/api/runs", Some(large)).await;
    assert_eq!(large.refusal(), (413, "too_large".to_owned()));
    in_our_words(&large);

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
    assert_eq!(deleted.refusal(), (405, "method_not_allowed".to_owned()));
    for method in deleted.header("allow").split(',') {
        assert!(deleted.message().contains(method.trim()), "{deleted:?}");
    }
    for path in ["/database", "/healthz", "/"] {
        let answer = serving.send(Method::DELETE, path, None, None).await;
        assert_eq!(
            answer.refusal(),
            (405, "method_not_allowed".to_owned()),
            "{path}"
        );
    }
    let runs = serving.admin("/api/runs").await.json();
    assert_eq!(
        runs["runs"].as_array().unwrap().len(),
        1,
        "nothing was started"
    );
}
