//! Redirects lead to no other origin, and nothing to a link-local address.

use futures::StreamExt;
use seedbed_protocol::message::FailureKind;
use seedbed_worker::powersync::PowerSyncClient;
use serde_json::json;
use testkit::{
    objects::ObjectServer,
    pipeline::{Access, settings},
    powersync::PowerSync,
    program::Program,
    serving::{LOCAL_SERVE, Serving, client_token, database_path, prepared},
    wait,
};

use super::support::Server;

fn redirect(status: u16, location: &str) -> String {
    format!(
        "HTTP/1.1 {status} Elsewhere\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_not_fetched_from_another_origin() {
    let other = PowerSync::builder().start().await.unwrap();
    other.add_generated_store("7", 10, 1);
    for status in [301, 302, 303, 307, 308] {
        let location = format!("{}/sync/stream", other.endpoint());
        let server = Server::start(move |_, _| redirect(status, &location).into()).await;
        let mut pipeline = server.worker(|_| {}).await;
        let failure = pipeline.seed("7").await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Permanent);
        for named in [
            server.url.as_str(),
            other.endpoint().trim_end_matches('/'),
            "powersync.endpoint",
        ] {
            assert!(failure.message.contains(named), "{}", failure.message);
        }
        assert_eq!(server.requests().len(), 1);
        let objects: Vec<_> = pipeline.snapshots.list().collect().await;
        assert!(objects.is_empty(), "{objects:?}");
    }
    assert_eq!(other.metrics().total.requests, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_within_the_origin_keeps_method_token_and_body_and_a_circle_ends() {
    for status in [301, 302, 303, 307, 308] {
        let server = Server::start(move |_, request| {
            if request.starts_with("POST /sync/stream") {
                return redirect(status, "/v2/stream").into();
            }
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                .to_owned()
                .into()
        })
        .await;
        let mut pipeline = server.worker(|_| {}).await;
        let failure = pipeline.seed("7").await.unwrap_err();
        assert!(failure.message.contains("404"), "{}", failure.message);
        let requests = server.requests();
        let followed = requests[1].to_ascii_lowercase();
        assert!(followed.starts_with("post /v2/stream"), "{followed}");
        assert!(followed.contains("authorization: token ey"), "{followed}");
        assert!(followed.contains("\"buckets\""), "{followed}");
    }
    let circle = Server::start(|_, _| redirect(307, "/sync/stream").into()).await;
    let mut pipeline = circle.worker(|_| {}).await;
    let failure = pipeline.seed("7").await.unwrap_err();
    assert!(
        failure.message.contains("more than 3 redirects"),
        "{}",
        failure.message
    );
    assert_eq!(circle.requests().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn link_local_addresses_are_refused_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    for endpoint in [
        "http://169.254.169.254",
        "http://2852039166/path",
        "http://[fe80::1]:8080",
        "http://[fd00:ec2::254]",
        "http://[::ffff:169.254.169.254]",
    ] {
        let access = Access {
            endpoint: endpoint.to_owned(),
            secret: "c2VjcmV0".to_owned(),
            kid: "seed".to_owned(),
        };
        let settings = settings(access, &directory);
        let error = settings.check().unwrap_err().to_string();
        assert!(error.contains("powersync.endpoint"), "{error}");
        assert!(error.contains("link-local"), "{error}");
        let error = PowerSyncClient::new(&settings.powersync).unwrap_err();
        assert!(error.to_string().contains("link-local"), "{error}");
    }
    let s3 = ObjectServer::s3().await;
    let variables = s3.variables_with("AWS_ENDPOINT_URL", "http://169.254.169.254");
    let error = s3.open(&s3.url, &variables).unwrap_err();
    assert!(error.to_string().contains("link-local"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_not_fetched_from_another_origin() {
    let s3 = ObjectServer::s3().await;
    let other = Server::start(|_, _| redirect(500, "/").into()).await;
    let location = format!("{}/bucket/key", other.url);
    let server = Server::start(move |_, _| redirect(307, &location).into()).await;
    let variables = s3.variables_with("AWS_ENDPOINT_URL", &server.url);
    let store = s3.open(&s3.url, &variables).unwrap();
    let error = store.write_check_object().await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains(&other.url) && text.contains("final URL"),
        "{text}"
    );
    assert!(other.requests().is_empty(), "{:?}", other.requests());
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_not_fetched_from_another_origin() {
    let other = Server::start(|_, _| redirect(500, "/").into()).await;
    let location = format!("{}/jwks.json", other.url);
    let server = Server::start(move |_, _| redirect(302, &location).into()).await;
    let (_service, mut program): (PowerSync, Program) = prepared(&["7"], 1).await;
    program.set("DOWNLOAD__SECRET", "");
    program.set("DOWNLOAD__JWKS_URL", format!("{}/jwks.json", server.url));
    let serving = Serving::start(&program, &LOCAL_SERVE).await;
    let token = client_token(json!({ "store_id": "7" }));
    wait::until("the keys are asked for", async || {
        let answer = serving.get(&database_path("7"), Some(&token)).await;
        assert!(matches!(answer.status.as_u16(), 401 | 503), "{answer:?}");
        !server.requests().is_empty()
    })
    .await;
    wait::until("the log says why", async || {
        let log = serving.process.error();
        log.contains("another origin") && log.contains(&other.url)
    })
    .await;
    assert!(other.requests().is_empty(), "{:?}", other.requests());

    program.set("DOWNLOAD__JWKS_URL", "http://169.254.169.254/jwks.json");
    let ended = program.run(&LOCAL_SERVE).await;
    assert_eq!(ended.code, Some(2), "{ended}");
    assert!(ended.error.contains("link-local"), "{ended}");
}
