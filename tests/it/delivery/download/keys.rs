//! Which keys verify clients' tokens.

use std::sync::{Arc, Mutex};

use axum::{Json, Router, http::StatusCode, routing::get};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation,
    jwk::{Jwk, JwkSet},
};
use serde_json::{Value, json};
use testkit::{
    program::Program,
    serving::{LOCAL_SERVE, Serving, client_token, database_path, token},
    wait,
};

use super::support::service_and_program;

const KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testkit/keys");
const NAMES: [&str; 3] = ["rs256", "es256", "eddsa"];

fn private(name: &str) -> EncodingKey {
    let pem = std::fs::read(format!("{KEYS}/{name}.private.pem")).unwrap();
    let key = match name {
        "rs256" => EncodingKey::from_rsa_pem(&pem),
        "es256" => EncodingKey::from_ec_pem(&pem),
        _ => EncodingKey::from_ed_pem(&pem),
    };
    key.unwrap()
}

fn algorithm(name: &str) -> Algorithm {
    match name {
        "rs256" => Algorithm::RS256,
        "es256" => Algorithm::ES256,
        _ => Algorithm::EdDSA,
    }
}

fn header(algorithm: Algorithm, kid: Option<&str>) -> Header {
    let mut header = Header::new(algorithm);
    header.kid = kid.map(str::to_owned);
    header
}

/// The public half of a key, as a backend publishes it.
fn published(name: &str, kid: &str) -> Value {
    let mut jwk = Jwk::from_encoding_key(&private(name), algorithm(name)).unwrap();
    jwk.common.key_id = Some(kid.to_owned());
    serde_json::to_value(jwk).unwrap()
}

fn without_secret(program: &mut Program) {
    program.set("DOWNLOAD__SECRET", "");
}

/// 404 for a token that verifies: there is no such store.
async fn status(serving: &Serving, token: &str) -> u16 {
    let answer = serving.get(&database_path("nowhere"), Some(token)).await;
    answer.status.as_u16()
}

fn claims() -> Value {
    json!({"store_id": "nowhere"})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_key_in_a_file_believes_its_own_signatures_only() {
    for name in NAMES {
        let (_service, mut program) = service_and_program().await;
        without_secret(&mut program);
        let public = format!("{KEYS}/{name}.public.pem");
        program.set("DOWNLOAD__KEY_FILE", &public);
        program.set("DOWNLOAD__KID", "app");
        let serving = Serving::start(&program, &LOCAL_SERVE).await;
        let sign = |kid| token(claims(), &header(algorithm(name), kid), &private(name));
        assert_eq!(status(&serving, &sign(Some("app"))).await, 404, "{name}");
        assert_eq!(status(&serving, &sign(Some("other"))).await, 401);
        assert_eq!(status(&serving, &sign(None)).await, 401);
        for other in NAMES.into_iter().filter(|other| *other != name) {
            let header = header(algorithm(other), Some("app"));
            let token = token(claims(), &header, &private(other));
            assert_eq!(status(&serving, &token).await, 401, "{other} for {name}");
        }
        // Algorithm confusion: the public key must not work as a shared secret.
        let pem = std::fs::read(&public).unwrap();
        let confused = header(Algorithm::HS256, Some("app"));
        let confused = token(claims(), &confused, &EncodingKey::from_secret(&pem));
        assert_eq!(status(&serving, &confused).await, 401);
        let body = confused.split('.').nth(1).unwrap();
        // {"alg":"none"} and {"alg":"none","kid":"app"}
        for unsigned in ["eyJhbGciOiJub25lIn0", "eyJhbGciOiJub25lIiwia2lkIjoiYXBwIn0"] {
            assert_eq!(status(&serving, &format!("{unsigned}.{body}.")).await, 401);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_a_backend_that_stays_away_are_not_believed_for_ever() {
    let keys = Keys::default();
    *keys.lock().unwrap() = Some(vec![published("rs256", "a")]);
    let (url, _) = backend(keys.clone()).await;
    let (_service, mut program) = service_and_program().await;
    without_secret(&mut program);
    program.set("DOWNLOAD__JWKS_URL", &url);
    program.set("DOWNLOAD__JWKS_MAX_AGE", "1s");
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
    let header = header(algorithm("rs256"), Some("a"));
    let token = token(claims(), &header, &private("rs256"));
    believed(&serving, &token).await;
    *keys.lock().unwrap() = None;
    wait::until("the keys are too old", async || {
        status(&serving, &token).await == 503
    })
    .await;
    *keys.lock().unwrap() = Some(vec![published("rs256", "a")]);
    believed(&serving, &token).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_cannot_be_used_are_named_at_the_start() {
    let (_service, mut program) = service_and_program().await;
    for (setting, value, named) in [
        (
            "DOWNLOAD__SECRET",
            "hunter2!",
            "download.secret is not base64url",
        ),
        (
            "DOWNLOAD__SECRET",
            "aHVudGVyMmh1bnRlcjJodW50ZXI",
            "download.secret is too short",
        ),
        ("DOWNLOAD__KEY_FILE", "stores.ndjson", "holds no public RSA"),
        ("DOWNLOAD__KEY_FILE", "missing.pem", "cannot be read"),
        (
            "DOWNLOAD__SIGNING_SECRET",
            "hunter2",
            "download.signing_secret is too short",
        ),
        (
            "DOWNLOAD__JWKS_URL",
            "file:///etc/passwd",
            "download.jwks_url must be",
        ),
        (
            "SERVE__ADMIN_TOKEN",
            "hunter2",
            "serve.admin_token is too short",
        ),
        ("SERVE__SCHEDULE", "hourly", "serve.schedule"),
        ("SERVE__LISTEN", "nowhere", "serve.listen"),
        (
            "SERVE__TRACE_URL",
            "https://jaeger.example.com",
            "{trace_id}",
        ),
        (
            "SERVE__CORS_ORIGINS",
            "app.example.com",
            "serve.cors_origins",
        ),
        ("DOWNLOAD__URL_LIFETIME", "2d", "retention.min_age"),
    ] {
        program.set(setting, value);
        let ended = program.run(&LOCAL_SERVE).await;
        assert_eq!(ended.code, Some(2), "{setting}: {ended}");
        assert!(ended.error.contains(named), "{setting}: {ended}");
        assert!(!ended.error.contains("hunter2"), "{ended}");
        program.unset(setting);
        Serving::prepare(&mut program);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn issuer_audience_and_the_stores_claim_are_settings() {
    let (_service, mut program) = service_and_program().await;
    program.set("DOWNLOAD__ISSUER", "https://app.example.com");
    program.set("DOWNLOAD__AUDIENCE", "seedbed");
    program.set("DOWNLOAD__STORE_CLAIM", "app.stores");
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
    let ask = async |claims: Value| status(&serving, &client_token(claims)).await;
    let good = json!({
        "iss": "https://app.example.com",
        "aud": ["x", "seedbed"],
        "app": {"stores": ["nowhere"]},
    });
    assert_eq!(ask(good.clone()).await, 404);
    for (claim, value, expected) in [
        ("iss", json!("https://evil.example.com"), 401),
        ("aud", json!("powersync"), 401),
        ("app", json!({"stores": ["elsewhere"]}), 403),
        ("app", json!("nowhere"), 403),
    ] {
        let mut bad = good.clone();
        bad[claim] = value;
        assert_eq!(ask(bad).await, expected, "{claim}");
        let mut without = good.clone();
        without.as_object_mut().unwrap().remove(claim);
        assert_eq!(ask(without).await, expected, "without {claim}");
    }
}

/// What a backend publishes; `None` while it is away.
type Keys = Arc<Mutex<Option<Vec<Value>>>>;

/// A backend, and how often it was asked.
async fn backend(keys: Keys) -> (String, Arc<Mutex<u32>>) {
    let asked = Arc::new(Mutex::new(0));
    let counted = asked.clone();
    let answer = move || async move {
        *counted.lock().unwrap() += 1;
        let keys = keys.lock().unwrap().clone();
        keys.map(|keys| Json(json!({ "keys": keys })))
            .ok_or(StatusCode::BAD_GATEWAY)
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
    let router = Router::new().route("/jwks.json", get(answer));
    tokio::spawn(async { axum::serve(listener, router).await });
    (url, asked)
}

/// Keys are not asked for more often than every few seconds.
async fn believed(serving: &Serving, token: &str) {
    wait::until("the key is believed", async || {
        let status = status(serving, token).await;
        assert!(matches!(status, 401 | 404 | 503), "{status}");
        status == 404
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_the_backend_publishes_are_believed_also_after_a_rotation() {
    let strange = json!({"kty": "XYZ", "kid": "new-kind"});
    let shared = json!({"kty": "oct", "kid": "shared", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQ"});
    let keys = Keys::default();
    let (url, asked) = backend(keys.clone()).await;
    let (_service, mut program) = service_and_program().await;
    without_secret(&mut program);
    program.set("DOWNLOAD__JWKS_URL", &url);
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
    let sign = |name, kid| {
        token(
            claims(),
            &header(algorithm(name), Some(kid)),
            &private(name),
        )
    };

    let away = status(&serving, &sign("rs256", "a")).await;
    assert_eq!(away, 503, "the backend is away");
    *keys.lock().unwrap() = Some(vec![strange, shared, published("rs256", "a")]);
    believed(&serving, &sign("rs256", "a")).await;
    let before = *asked.lock().unwrap();
    for _ in 0..20 {
        assert_eq!(status(&serving, &sign("rs256", "a")).await, 404);
        let another = status(&serving, &sign("es256", "a")).await;
        assert_eq!(another, 401, "under another key's name");
        assert_eq!(status(&serving, &sign("es256", "unknown")).await, 401);
    }
    let secret = EncodingKey::from_secret(b"secret-secret-secret");
    let shared = token(claims(), &header(Algorithm::HS256, Some("shared")), &secret);
    let published_secret = status(&serving, &shared).await;
    assert_eq!(published_secret, 401, "a published secret is none");
    let more = *asked.lock().unwrap() - before;
    assert!(more <= 2, "unknown keys made it ask {more} times");

    *keys.lock().unwrap() = Some(vec![published("es256", "b")]);
    believed(&serving, &sign("es256", "b")).await;
    assert_eq!(
        status(&serving, &sign("rs256", "a")).await,
        401,
        "taken back"
    );
    *keys.lock().unwrap() = None;
    assert_eq!(
        status(&serving, &sign("es256", "b")).await,
        404,
        "still known"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn powersync_finds_the_public_half_of_seedbeds_own_key() {
    for name in NAMES {
        let (_service, mut program) = service_and_program().await;
        program.unset("TOKEN__SECRET");
        program.set("TOKEN__ALGORITHM", format!("{:?}", algorithm(name)));
        program.set("TOKEN__KEY_FILE", format!("{KEYS}/{name}.private.pem"));
        program.set("TOKEN__KID", "mine");
        let serving = Serving::start(&program, &LOCAL_SERVE).await;
        let answer = serving.get("/.well-known/jwks.json", None).await;
        assert_eq!(answer.status, 200);
        let set: JwkSet = serde_json::from_slice(&answer.body).unwrap();
        let [key] = &set.keys[..] else {
            panic!("{set:?}")
        };
        assert_eq!(key.common.key_id.as_deref(), Some("mine"));
        let private_half = &answer.json()["keys"][0]["d"];
        assert!(private_half.is_null());
        let signed = token(json!({}), &header(algorithm(name), None), &private(name));
        let key = DecodingKey::from_jwk(key).unwrap();
        let validation = Validation::new(algorithm(name));
        jsonwebtoken::decode::<Value>(&signed, &key, &validation).unwrap();
    }
}
