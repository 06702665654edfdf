//! What the server does to connections that do not behave, and to those that are open when it stops.

use std::time::Duration;

use reqwest::Method;
use testkit::{
    powersync::PowerSync,
    program::Program,
    serving::{LOCAL_SERVE, Serving, client_token, database_path, prepared},
    wait,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

async fn large_store() -> (PowerSync, Program) {
    prepared(&["1"], 20_000).await
}

async fn connect(serving: &Serving) -> TcpStream {
    let address = serving.url.strip_prefix("http://").unwrap();
    TcpStream::connect(address).await.unwrap()
}

/// What the server still sends until it closes.
async fn rest(connection: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    let read = connection.read_to_end(&mut rest);
    let read = tokio::time::timeout(Duration::from_secs(60), read).await;
    let _ = read.expect("the server ends it");
    rest
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_has_begun_is_ended_before_the_server_stops() {
    let (_service, mut program) = large_store().await;
    program.set("SERVE__GRACE", "60s");
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
    let answer = serving
        .database_until("1", |answer| answer.status == 200)
        .await
        .json();
    let mut download = serving
        .request(Method::GET, answer["databaseUrl"].as_str().unwrap())
        .send()
        .await
        .unwrap();
    let mut bytes = download.chunk().await.unwrap().unwrap().len() as u64;
    serving.process.signal("TERM");
    // It takes no new connection.
    let address = serving.url.strip_prefix("http://").unwrap();
    let is_closed = async || TcpStream::connect(address).await.is_err();
    wait::until("it listens no more", is_closed).await;
    while let Some(chunk) = download.chunk().await.unwrap() {
        bytes += chunk.len() as u64;
    }
    assert_eq!(answer["bytes"], bytes);
    assert_eq!(serving.process.end().await.code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_nothing_does_not_keep_the_server_from_stopping() {
    let (_service, mut program) = large_store().await;
    program.set("SERVE__GRACE", "200ms");
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
    let answer = serving
        .database_until("1", |answer| answer.status == 200)
        .await
        .json();
    let download = serving.request(Method::GET, answer["databaseUrl"].as_str().unwrap());
    let _download = download.send().await.unwrap();
    serving.process.signal("TERM");
    assert_eq!(serving.process.end().await.code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_never_ends_its_headers_is_closed() {
    let (_service, program) = large_store().await;
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
    let mut slow = connect(&serving).await;
    slow.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        .await
        .unwrap();
    let mut endless = connect(&serving).await;
    let headers = format!(
        "GET /healthz HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
        "x".repeat(1 << 20)
    );
    // Refused while it is still being sent.
    let _ = endless.write_all(headers.as_bytes()).await;
    assert_eq!(
        serving.get("/healthz", None).await.status,
        200,
        "others are served meanwhile"
    );
    let refused = rest(&mut endless).await;
    assert!(
        refused.is_empty() || refused.starts_with(b"HTTP/1.1 431"),
        "{refused:?}"
    );
    let given_up = rest(&mut slow).await;
    assert!(!given_up.starts_with(b"HTTP/1.1 200"), "{given_up:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_takes_too_long_is_given_up() {
    let (service, mut program) = large_store().await;
    program.set("SERVE__REQUEST_TIMEOUT", "300ms");
    // Its keys are at a place that accepts and never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks.json", silent.local_addr().unwrap());
    program.set("DOWNLOAD__JWKS_URL", url);
    program.unset("DOWNLOAD__SECRET");
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
    let token = client_token(serde_json::json!({"store_id": "1"}));
    let answer = serving.get(&database_path("1"), Some(&token)).await;
    assert_eq!(answer.refusal(), (503, "unavailable".to_owned()));
    assert_eq!(serving.get("/healthz", None).await.status, 200);
    drop(service);
}
