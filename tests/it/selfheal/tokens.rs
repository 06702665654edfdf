//! Tokens and the keys that verify or sign them are taken for exactly what they say, and a refusal says what to do.

use std::time::Duration;

use axum::{Json, Router, routing::get};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use reqwest::Method;
use serde_json::{Value, json, value::RawValue};
use testkit::serving::{LOCAL_SERVE, Serving, database_path, now, prepared};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::refused::{SUPABASE, reason};

const KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testkit/keys");

/// A token with these claims as they are written.
fn signed(claims: &str, secret: &[u8]) -> String {
    let claims = format!("{{\"exp\": {}, {claims}}}", now() + 300);
    let claims = RawValue::from_string(claims).unwrap();
    let key = EncodingKey::from_secret(secret);
    jsonwebtoken::encode(&Header::default(), &claims, &key).unwrap()
}

async fn status(serving: &Serving, store: &str, token: &str) -> u16 {
    let answer = serving.get(&database_path(store), Some(token)).await;
    answer.status.as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_in_a_token_opens_the_store_that_is_written_like_it_and_no_neighbour() {
    let (_service, mut program) = prepared(&["1"], 3).await;
    program.set("DOWNLOAD__SECRET", SUPABASE);
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
    // 404: let in, and there is no such store.
    for (claim, store, expected) in [
        ("42", "42", 404),
        ("\"42\"", "42", 404),
        ("[41, 42]", "42", 404),
        ("9007199254740993", "9007199254740993", 404),
        ("9007199254740993", "9007199254740992", 403),
        ("9007199254740993", "9007199254740994", 403),
        (
            "123456789012345678901234567890",
            "123456789012345678901234567890",
            404,
        ),
        (
            "123456789012345678901234567890",
            "123456789012345678901234567891",
            403,
        ),
        ("42.0", "42", 403),
        ("4.2e1", "42", 403),
        ("\"042\"", "42", 403),
        ("9007199254740993.0", "9007199254740993", 403),
    ] {
        let token = signed(&format!("\"store_id\": {claim}"), SUPABASE.as_bytes());
        let got = status(&serving, store, &token).await;
        assert_eq!(got, expected, "{claim} for {store}");
    }
    // A leading zero is no JSON at all.
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#);
    let body = URL_SAFE_NO_PAD.encode(format!("{{\"exp\":{},\"store_id\":042}}", now() + 300));
    let message = format!("{header}.{body}");
    let key = EncodingKey::from_secret(SUPABASE.as_bytes());
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256);
    let token = format!("{message}.{}", signature.unwrap());
    assert_eq!(status(&serving, "42", &token).await, 401);

    // With "auto", the secret is taken in either reading; with another setting in that one only.
    let decoded = URL_SAFE_NO_PAD.decode(SUPABASE).unwrap();
    let by_bytes = signed("\"store_id\": 42", &decoded);
    assert_eq!(status(&serving, "42", &by_bytes).await, 404);
    serving.process.stop().await;
    program.set("DOWNLOAD__SECRET_ENCODING", "text");
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
    assert_eq!(status(&serving, "42", &by_bytes).await, 401);
    let by_text = signed("\"store_id\": 42", SUPABASE.as_bytes());
    assert_eq!(status(&serving, "42", &by_text).await, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_for_something_else_verify_nothing_and_check_says_why() {
    let pem = std::fs::read(format!("{KEYS}/es256.private.pem")).unwrap();
    let private = EncodingKey::from_ec_pem(&pem).unwrap();
    let jwk = Jwk::from_encoding_key(&private, Algorithm::ES256).unwrap();
    let mut bare = serde_json::to_value(jwk).unwrap();
    let known = bare.as_object_mut().unwrap();
    known.retain(|name, _| !["alg", "use", "key_ops"].contains(&name.as_str()));
    let with = |kid: &str, more: Value| {
        let mut jwk = bare.clone();
        jwk["kid"] = kid.into();
        jwk.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        jwk
    };
    let keys = json!({"keys": [
        with("good", json!({"use": "sig", "alg": "ES256", "key_ops": ["verify"]})),
        with("enc", json!({"use": "enc"})),
        with("wrap", json!({"key_ops": ["wrapKey", "encrypt"]})),
        with("oaep", json!({"alg": "RSA-OAEP"})),
        with("other", json!({"alg": "ES384"})),
    ]});
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let router = Router::new().route("/", get(move || async move { Json(keys) }));
    tokio::spawn(async { axum::serve(listener, router).await });

    let (_service, mut program) = prepared(&["1"], 3).await;
    program.set("DOWNLOAD__SECRET", "");
    program.set("DOWNLOAD__JWKS_URL", url);
    let checked = program.check(0).await["downloads"].1.clone();
    assert!(checked.contains("1 keys of download.jwks_url"), "{checked}");
    for left_out in [
        "\"enc\": its use",
        "\"wrap\": its key_ops",
        "RSA-OAEP",
        "ES384",
    ] {
        assert!(checked.contains(left_out), "{checked}");
    }
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
    let sign = |kid: &str, crit: bool| {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(kid.to_owned());
        header.crit = crit.then(|| vec!["b64".to_owned()]);
        let claims = json!({"exp": now() + 300, "store_id": "x"});
        jsonwebtoken::encode(&header, &claims, &private).unwrap()
    };
    assert_eq!(status(&serving, "x", &sign("good", false)).await, 404);
    for kid in ["enc", "wrap", "oaep", "other"] {
        assert_eq!(status(&serving, "x", &sign(kid, false)).await, 401, "{kid}");
    }
    let critical = reason(&serving, &sign("good", true)).await;
    assert!(critical.contains("crit"), "{critical}");
    for (algorithm, told) in [
        ("ES512", "ES512"),
        ("Ed25519", "EdDSA"),
        ("none", "not signed"),
        ("HS256", "HS256, and the key here verifies ES256"),
    ] {
        let header = json!({"alg": algorithm, "kid": "good"}).to_string();
        let token = format!("{}.e30.c2ln", URL_SAFE_NO_PAD.encode(header));
        let said = reason(&serving, &token).await;
        assert!(said.contains(told), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_an_allowed_origin_can_read_every_refusal_and_two_hosts_are_one_too_many() {
    const PAGE: &str = "https://app.example.com";
    let (_service, mut program) = prepared(&["1"], 3).await;
    program.set("SERVE__CORS_ORIGINS", PAGE);
    program.set("SERVE__RATE_LIMIT", "3");
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
    let wrong = testkit::serving::client_token(json!({"store_id": "other"}));
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..60 {
        for token in [None, Some(&wrong)] {
            let mut request = serving.request(Method::GET, &database_path("1"));
            request = request.header("origin", PAGE);
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            let answer = request.send().await.unwrap();
            let allowed = &answer.headers()["access-control-allow-origin"];
            assert_eq!(allowed, PAGE, "{}", answer.status());
            seen.insert(answer.status().as_u16());
        }
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [401, 403, 429]);
    let preflight = serving
        .request(Method::OPTIONS, &database_path("1"))
        .header("origin", PAGE)
        .header("access-control-request-method", "GET")
        .header("access-control-request-headers", "authorization");
    let preflight = preflight.send().await.unwrap();
    assert!(
        preflight.status().is_success(),
        "although it asks too often"
    );
    assert_eq!(preflight.headers()["access-control-allow-origin"], PAGE);
    serving.process.stop().await;

    program.set("SERVE__RATE_LIMIT", "0");
    program.set("SERVE__REQUEST_TIMEOUT", "1ms");
    program.set("DOWNLOAD__JWKS_URL", "http://127.0.0.1:1/jwks.json");
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
    let unknown = signed("\"store_id\": 1", b"another secret of thirty-two bytes");
    let request = serving.request(Method::GET, &database_path("1"));
    let late = request.header("origin", PAGE).bearer_auth(unknown);
    let late = late.send().await.unwrap();
    assert_eq!(late.status(), 503);
    assert_eq!(late.headers()["access-control-allow-origin"], PAGE);

    let address = serving.url.strip_prefix("http://").unwrap();
    for (hosts, expected) in [
        ("host: a.example.com\r\nhost: b.example.com\r\n", "400"),
        ("host: a.example.com\r\nHost: a.example.com\r\n", "400"),
        ("host: a.example.com\r\n", "200"),
    ] {
        let mut connection = TcpStream::connect(address).await.unwrap();
        let request = format!("GET /healthz HTTP/1.1\r\n{hosts}connection: close\r\n\r\n");
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let read = connection.read_to_string(&mut answer);
        tokio::time::timeout(Duration::from_secs(20), read)
            .await
            .unwrap()
            .unwrap();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {expected}")),
            "{answer}"
        );
    }
}
