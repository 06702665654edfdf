//! No answer makes a worker ask without a pause.

use std::time::Duration;

use futures::future::join_all;
use seedbed_protocol::message::FailureKind;

use super::support::{Answer, LINES, Server};

const CHECKPOINT: &str = r#"{"checkpoint":{"last_op_id":"1000","buckets":[{"bucket":"a[]","checksum":1,"count":1000,"priority":3}],"streams":[]}}"#;

fn operations(ids: impl IntoIterator<Item = u64>) -> String {
    let row = |id: u64| {
        format!(
            r#"{{"op_id":"{id}","op":"PUT","object_type":"t","object_id":"{id}","checksum":1,"subkey":"s","data":"{{}}"}}"#
        )
    };
    let rows: Vec<_> = ids.into_iter().map(row).collect();
    let rows = rows.join(",");
    format!(
        r#"{{"data":{{"bucket":"a[]","data":[{rows}],"has_more":true,"after":"0","next_after":"9"}}}}"#
    )
}

/// Answers after which the worker has nothing, each once for every request.
fn empty_answers() -> Vec<(&'static str, String)> {
    let ndjson = "Content-Type: application/x-ndjson\r\n";
    vec![
        (
            "HTTP/1.0 without a body",
            format!("HTTP/1.0 200 OK\r\n{ndjson}\r\n"),
        ),
        (
            "HTTP/1.0 with half a line",
            format!("HTTP/1.0 200 OK\r\n{ndjson}\r\n{{\"checkp"),
        ),
        (
            "a truncated body",
            format!("HTTP/1.1 200 OK\r\n{ndjson}Content-Length: 1000\r\n\r\n{{\"x"),
        ),
        (
            "an empty body",
            format!("HTTP/1.1 200 OK\r\n{ndjson}Content-Length: 0\r\nConnection: close\r\n\r\n"),
        ),
        (
            "a clean end",
            format!(
                "HTTP/1.1 200 OK\r\n{ndjson}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n"
            ),
        ),
        ("blank lines", format!("{LINES}\n\n\n")),
        (
            "an expired token",
            format!("{LINES}{{\"token_expires_in\":0}}\n"),
        ),
        ("a checkpoint and no data", format!("{LINES}{CHECKPOINT}\n")),
        (
            "the same operations again and again",
            format!("{LINES}{CHECKPOINT}\n{}\n", operations(1..10)),
        ),
        ("no HTTP", "SSH-2.0-OpenSSH_9.2\r\n".to_owned()),
        ("nothing", String::new()),
        (
            "a 503 without a pause",
            "HTTP/1.1 503 No\r\nRetry-After: 0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                .to_owned(),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_with_nothing_in_it_is_asked_for_after_growing_pauses_until_the_job_gives_up() {
    let asking = empty_answers().into_iter().map(async |(what, answer)| {
        let server = Server::start(move |_, _| answer.clone().into()).await;
        let mut pipeline = server.worker(|_| {}).await;
        let failure = pipeline.seed("7").await.unwrap_err();
        let message = &failure.message;
        assert!(
            message.contains("powersync.give_up_after"),
            "{what}: {message}"
        );
        assert_eq!(failure.kind, FailureKind::Transient, "{what}");
        // 2 s with pauses of at least 125, 250, 500 and 1,000 ms.
        let requests = server.requests().len();
        assert!((2..=8).contains(&requests), "{what}: {requests} requests");
    });
    join_all(asking).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_without_a_place_is_asked_after_pauses_and_the_job_goes_back_to_the_queue() {
    let answer = "HTTP/1.1 429 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let server = Server::start(move |_, _| answer.to_owned().into()).await;
    let mut pipeline = server
        .worker(|settings| settings.worker.job_deadline = Duration::from_secs(60))
        .await;
    let job = testkit::pipeline::job("7", serde_json::json!({ "store_id": "7" }), Vec::new());
    pipeline.publish(&job).await;
    let failure = loop {
        if let seedbed_protocol::message::EventKind::Failed(failure) =
            pipeline.next_event().await.kind
        {
            break failure;
        }
    };
    assert!(failure.retry_at.is_some(), "{failure:?}");
    assert!(
        failure.message.contains("waiting for PowerSync's limit"),
        "{failure:?}"
    );
    let requests = server.requests().len();
    assert!((1..=8).contains(&requests), "{requests} requests");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_ends_each_stream_after_one_operation_is_not_asked_without_limit() {
    let server = Server::start(|number, _| {
        let next = number as u64 + 1;
        Answer::from(format!("{LINES}{CHECKPOINT}\n{}\n", operations([next])))
    })
    .await;
    let mut pipeline = server
        .worker(|settings| {
            settings.worker.slots = Some(1);
            settings.worker.job_timeout = Duration::from_secs(10);
        })
        .await;
    let failure = pipeline.seed("7").await.unwrap_err();
    assert!(
        failure.message.contains("worker.job_timeout"),
        "{failure:?}"
    );
    // Twenty at once at most, then one in four seconds.
    let requests = server.requests().len();
    assert!((10..=24).contains(&requests), "{requests} requests");
}
