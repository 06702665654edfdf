//! How the service handles tokens: the recorded answers to bad ones, other keys, keepalives and expiry.

use super::client::{Format, Lines, ask_with, first_request, kinds};
use reqwest::Response;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use testkit::powersync::{Algorithm, PowerSync};

fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock after 1970")
        .as_secs_f64()
}

async fn start() -> PowerSync {
    PowerSync::builder().start().await.expect("a free port")
}

async fn refusal(response: Response) -> (u16, String) {
    assert_eq!(
        response.headers()["content-type"],
        "application/json; charset=utf-8"
    );
    (
        response.status().as_u16(),
        response.text().await.expect("a body"),
    )
}

/// The recorded refusals, by the title of their section in `auth-negatives.txt`.
const REFUSALS: [(&str, &str); 4] = [
    (
        "no token",
        r#"{"error":{"code":"PSYNC_S2106","status":401,"description":"Authentication required","name":"AuthorizationError"}}"#,
    ),
    (
        "expired",
        r#"{"error":{"code":"PSYNC_S2103","status":401,"description":"JWT has expired","name":"AuthorizationError"}}"#,
    ),
    (
        "bad signature",
        r#"{"error":{"code":"PSYNC_S2101","status":401,"description":"signature verification failed","name":"AuthorizationError"}}"#,
    ),
    (
        "ttl > max (2 days)",
        r#"{"error":{"code":"PSYNC_S2104","status":401,"description":"Token must expire in a maximum of 86400 seconds, got 172800s","name":"AuthorizationError"}}"#,
    ),
];

/// An `Authorization` header that earns the refusal with this title.
fn authorization(service: &PowerSync, title: &str) -> String {
    let now = now() as i64;
    let token = match title {
        "no token" => return String::new(),
        "expired" => service.token(json!({"iat": now - 600, "exp": now - 300})),
        "bad signature" => {
            let token = service.token(json!({}));
            let (signed, _) = token.rsplit_once('.').expect("a JWT has three parts");
            format!("{signed}.{}", "A".repeat(43))
        }
        _ => service.token(json!({"iat": now, "exp": now + 172_800})),
    };
    format!("Token {token}")
}

#[tokio::test]
async fn bad_tokens_get_the_recorded_bodies() {
    let service = start().await;
    for (title, body) in REFUSALS {
        let authorization = authorization(&service, title);
        let response = ask_with(&service, &authorization, &first_request(), Format::Bson).await;
        assert_eq!(refusal(response).await, (401, body.to_owned()), "{title}");
    }
}

#[test]
fn the_expected_refusals_are_those_recorded() {
    let Some(folder) = testkit::recordings::recordings() else {
        return;
    };
    let recorded =
        std::fs::read_to_string(folder.join("auth-negatives.txt")).expect("the recording");
    for (title, body) in REFUSALS {
        let section = recorded
            .split("== ")
            .find(|section| section.starts_with(&format!("{title}\n")));
        assert!(
            section.is_some_and(|section| section.lines().any(|line| line == body)),
            "{title}"
        );
    }
}

#[tokio::test]
async fn a_body_that_is_not_json_is_refused_and_no_body_is_accepted() {
    let service = start().await;
    let post = || {
        let authorization = format!("Bearer {}", service.token_for("s"));
        let url = format!("{}/sync/stream", service.endpoint());
        reqwest::Client::new()
            .post(url)
            .header("authorization", authorization)
    };
    let response = post()
        .header("content-type", "application/json")
        .body("{")
        .send()
        .await
        .expect("an answer");
    let (status, body) = refusal(response).await;
    assert_eq!(status, 400);
    assert_eq!(
        body,
        r#"{"error":{"name":"FastifyError","code":"FST_ERR_CTP_INVALID_JSON_BODY","status":400,"description":"Body is not valid JSON but content-type is set to 'application/json'"}}"#
    );
    let response = post().send().await.expect("an answer");
    assert_eq!(
        kinds(&Lines::new(response, Format::Ndjson).until_complete().await).len(),
        2
    );
    for wrong in [
        json!({"buckets": 1}),
        json!([]),
        json!({"buckets": [{"name": "b", "after": "x"}]}),
    ] {
        let response = post().json(&wrong).send().await.expect("an answer");
        assert_eq!(response.status(), 400, "{wrong}");
    }
}

#[tokio::test]
async fn bearer_works_as_well_as_token() {
    let service = start().await;
    service.add_store("s");
    let bearer = format!("Bearer {}", service.token_for("s"));
    let response = ask_with(&service, &bearer, &first_request(), Format::Ndjson).await;
    let lines = Lines::new(response, Format::Ndjson).until_complete().await;
    assert_eq!(lines[0]["checkpoint"]["buckets"][0]["count"], 0);
}

#[tokio::test]
async fn tokens_of_configured_public_keys_are_trusted_by_key_id() {
    use jsonwebtoken::{EncodingKey, Header, encode};
    let keys = |name: &str| {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testkit/keys");
        let read = |part: &str| {
            std::fs::read(folder.join(format!("{name}.{part}.pem"))).expect("a test key")
        };
        (read("private"), read("public"))
    };
    let [(rsa_private, rsa), (ec_private, ec), (ed_private, ed)] =
        ["rs256", "es256", "eddsa"].map(keys);
    let builder = PowerSync::builder()
        .public_key("rsa", Algorithm::RS256, &rsa)
        .expect("an RSA key");
    let builder = builder
        .public_key("ec", Algorithm::ES256, &ec)
        .expect("an EC key");
    let builder = builder
        .public_key("ed", Algorithm::EdDSA, &ed)
        .expect("an Ed25519 key");
    let service = builder.start().await.expect("a free port");
    let claims = json!({"iat": now() as i64, "exp": now() as i64 + 60, "store_id": "s"});
    let sign = |kid: &str, algorithm, key: &EncodingKey| {
        let header = Header {
            kid: Some(kid.to_owned()),
            ..Header::new(algorithm)
        };
        format!(
            "Token {}",
            encode(&header, &claims, key).expect("a signature")
        )
    };
    let rsa = EncodingKey::from_rsa_pem(&rsa_private).expect("an RSA key");
    let ec = EncodingKey::from_ec_pem(&ec_private).expect("an EC key");
    let ed = EncodingKey::from_ed_pem(&ed_private).expect("an Ed25519 key");
    for (kid, algorithm, key, status) in [
        ("rsa", Algorithm::RS256, &rsa, 200),
        ("ec", Algorithm::ES256, &ec, 200),
        ("ed", Algorithm::EdDSA, &ed, 200),
        ("ed", Algorithm::ES256, &ec, 401),
        ("unknown", Algorithm::RS256, &rsa, 401),
    ] {
        let response = ask_with(
            &service,
            &sign(kid, algorithm, key),
            &json!({}),
            Format::Bson,
        )
        .await;
        assert_eq!(response.status(), status, "{algorithm:?} with key id {kid}");
    }
}

#[tokio::test]
async fn a_token_for_another_audience_is_refused() {
    let service = PowerSync::builder()
        .audience("https://here")
        .start()
        .await
        .expect("a free port");
    for (audience, status) in [
        (json!("https://here"), 200),
        (json!(["x", "https://here"]), 200),
        (json!("https://there"), 401),
    ] {
        let token = format!("Token {}", service.token(json!({"aud": audience})));
        let response = ask_with(&service, &token, &json!({}), Format::Bson).await;
        assert_eq!(response.status(), status, "{audience}");
    }
}

#[tokio::test]
async fn keepalives_count_down_and_the_body_ends_when_the_token_does() {
    let service = PowerSync::builder()
        .keepalive(Duration::from_millis(200))
        .start()
        .await
        .expect("a free port");
    service.add_store("s");
    let token = service.token(json!({"store_id": "s", "exp": now() + 2.0}));
    let response = ask_with(
        &service,
        &format!("Token {token}"),
        &first_request(),
        Format::Ndjson,
    )
    .await;
    let mut stream = Lines::new(response, Format::Ndjson);
    stream.until_complete().await;
    let mut seconds = Vec::new();
    while let Some(line) = stream.next().await {
        seconds.push(
            line["token_expires_in"]
                .as_u64()
                .expect("only keepalives are left"),
        );
    }
    // About one each 200 ms of 2 s, and one more 200 ms before the end.
    assert!((3..=13).contains(&seconds.len()), "{seconds:?}");
    assert!(
        seconds.is_sorted_by(|earlier, later| earlier >= later),
        "{seconds:?}"
    );
    assert_eq!(seconds.last(), Some(&0));
}

#[tokio::test]
async fn a_token_that_has_just_expired_gets_one_line_that_says_so() {
    let service = start().await;
    service.add_store("s");
    let token = service.token(json!({"store_id": "s", "iat": now() - 310.0, "exp": now() - 10.0}));
    let response = ask_with(
        &service,
        &format!("Token {token}"),
        &first_request(),
        Format::Bson,
    )
    .await;
    let mut stream = Lines::new(response, Format::Bson);
    assert_eq!(stream.next().await, Some(json!({"token_expires_in": 0})));
    assert_eq!(stream.next().await, None::<Value>);
}
