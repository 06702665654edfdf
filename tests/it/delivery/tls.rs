//! HTTPS and HTTP/2 without a proxy in front.

use reqwest::{Certificate, Client, ClientBuilder, Version};
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{
    powersync::PowerSync,
    program::{Process, Program},
    servers::Authority,
    serving::{LOCAL_SERVE, Serving, client_token, database_path, prepared},
    wait,
};

/// A program that serves one store by a certificate of `authority`, in `tls.crt` and `tls.key`.
async fn prepared_with(authority: &Authority<'_>, rows: u32) -> (PowerSync, Program) {
    let (service, mut program) = prepared(&["1"], rows).await;
    renew(&program, authority);
    for (setting, file) in [
        ("SERVE__TLS_CERTIFICATE_FILE", "tls.crt"),
        ("SERVE__TLS_KEY_FILE", "tls.key"),
    ] {
        let file = program.path(file).display().to_string();
        program.set(setting, file);
    }
    (service, program)
}

/// Replaces both files, the key first.
fn renew(program: &Program, authority: &Authority<'_>) {
    let (certificate, key) = authority.sign_localhost();
    program.write("tls.key", std::fs::read(key).unwrap());
    program.write("tls.crt", std::fs::read(certificate).unwrap());
}

/// A client that trusts this authority and nobody else.
fn trusting(authority: &Authority<'_>) -> ClientBuilder {
    let pem = std::fs::read(authority.file("pem")).unwrap();
    Client::builder().tls_certs_only([Certificate::from_pem(&pem).unwrap()])
}

/// The answer of `GET /database`, once the store is seeded.
async fn database(client: &Client, serving: &Serving) -> Value {
    let url = format!("{}{}", serving.url, database_path("1"));
    let token = client_token(json!({"store_id": "1"}));
    wait::for_some("the store is seeded", async || {
        let answer = client.get(&url).bearer_auth(&token).send().await.unwrap();
        match answer.status().as_u16() {
            200 => Some(answer.json().await.unwrap()),
            _ => None,
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_and_browsers_are_answered_over_tls_by_either_version_of_http() {
    let files = TempDir::new().unwrap();
    let authority = Authority::new(&files, "ours");
    let (_service, program) = prepared_with(&authority, 10).await;
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
    assert!(serving.url.starts_with("https://"), "{}", serving.url);
    let by_http2 = trusting(&authority).build().unwrap();
    let by_http1 = trusting(&authority).http1_only().build().unwrap();
    for (client, version) in [(&by_http2, Version::HTTP_2), (&by_http1, Version::HTTP_11)] {
        let answer = client
            .get(format!("{}/", serving.url))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.version(), version);
        assert_eq!(answer.status(), 200);
        let header = answer.headers().get("strict-transport-security");
        assert!(header.is_some(), "browsers stay with TLS");
        let answer = database(client, &serving).await;
        let url = answer["databaseUrl"].as_str().unwrap();
        assert!(url.starts_with(&serving.url), "{url}");
        let file = client.get(url).send().await.unwrap();
        assert_eq!(file.bytes().await.unwrap().len() as u64, answer["bytes"]);
    }
    let url = serving.url.replace("https://", "http://");
    let plain = Client::new().get(url).send().await;
    assert!(plain.is_err(), "{plain:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_renewed_without_a_restart_and_a_broken_one_is_not_taken() {
    let files = TempDir::new().unwrap();
    let (before, after) = (
        Authority::new(&files, "before"),
        Authority::new(&files, "after"),
    );
    let (_service, program) = prepared_with(&before, 10).await;
    let mut serving = Serving::start(&program, &LOCAL_SERVE).await;
    let health = format!("{}/healthz", serving.url);
    // A client of its own each time: it connects anew.
    let is_trusted = async |authority| {
        let client = trusting(authority).build().unwrap();
        client.get(&health).send().await.is_ok()
    };
    assert!(is_trusted(&before).await && !is_trusted(&after).await);

    program.write("tls.crt", "no certificate");
    let told = |process: &Process| {
        let text = process.error();
        text.contains("not renewed") && text.contains("serve.tls_certificate_file")
    };
    serving.process.until("it says so", told).await;
    assert!(is_trusted(&before).await);

    renew(&program, &after);
    wait::until("the new one is used", async || is_trusted(&after).await).await;
    assert!(!is_trusted(&before).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_nothing_of_one_answer_is_cut_while_its_connection_lives() {
    let files = TempDir::new().unwrap();
    let authority = Authority::new(&files, "ours");
    let (_service, mut program) = prepared_with(&authority, 20_000).await;
    program.set("SERVE__SLOW_READER", "1s");
    program.set("LOG__LEVEL", "debug");
    let mut serving = Serving::start(&program, &LOCAL_SERVE).await;
    // The answer does not fit into what the client has room for.
    let client = trusting(&authority).http2_initial_stream_window_size(65_535);
    let client = client.build().unwrap();
    let answer = database(&client, &serving).await;
    let url = answer["databaseUrl"].as_str().unwrap();
    let mut stalled = client.get(url).send().await.unwrap();
    assert_eq!(stalled.version(), Version::HTTP_2);
    let health = format!("{}/healthz", serving.url);
    let lives = async || client.get(&health).send().await;
    assert_eq!(lives().await.unwrap().status(), 200);
    let is_cut = |process: &Process| process.error().contains("the client takes nothing");
    serving.process.until("it is cut", is_cut).await;
    let ended = loop {
        match stalled.chunk().await {
            Ok(Some(_)) => {}
            ended => break ended,
        }
    };
    assert!(ended.is_err(), "{ended:?}");
    assert_eq!(
        lives().await.unwrap().status(),
        200,
        "over a new connection"
    );
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named() {
    let files = TempDir::new().unwrap();
    let (ours, theirs) = (
        Authority::new(&files, "ours"),
        Authority::new(&files, "theirs"),
    );
    let (_service, mut program) = prepared_with(&ours, 1).await;
    let refused = async |program: &Program, setting: &str, reason: &str| {
        let ended = program.run(&LOCAL_SERVE).await;
        assert_eq!(ended.code, Some(2), "{ended}");
        assert!(
            ended.error.contains(setting) && ended.error.contains(reason),
            "{setting}, {reason}: {ended}"
        );
    };
    let (certificate, key) = ("serve.tls_certificate_file", "serve.tls_key_file");
    let checked = program.check(0).await;
    let (ok, told) = &checked["certificate"];
    assert!(*ok && told.contains("good until"), "{told}");
    let (_, other_key) = theirs.sign_localhost();
    program.write("tls.key", std::fs::read(other_key).unwrap());
    refused(&program, key, "does not fit").await;
    program.write("tls.key", "");
    refused(&program, key, "tls.key").await;
    program.write("tls.crt", "");
    refused(&program, certificate, "no certificate").await;
    std::fs::remove_file(program.path("tls.crt")).unwrap();
    refused(&program, certificate, "No such file").await;
    program.unset("SERVE__TLS_CERTIFICATE_FILE");
    refused(&program, certificate, "is missing").await;
}
