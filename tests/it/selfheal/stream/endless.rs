//! Streams that never end and say nothing.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};

use seedbed_protocol::broker::MemoryBroker;
use seedbed_worker::{Shutdown, powersync::MAX_BYTES_WITHOUT_OPERATION, service::HealthServer};
use serde_json::json;
use testkit::{pipeline::job, wait};

use super::support::{Answer, LINES, Server};

/// A zstd frame without an end: its head (RFC 8878, window of 128 KiB), and a block that is a newline, 131,072 times.
const FRAME: [u8; 6] = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38];
const NEWLINES: [u8; 4] = [0x02, 0x00, 0x10, b'\n'];

fn endless_newlines() -> Answer {
    let head = LINES.replace("\r\n\r\n", "\r\nContent-Encoding: zstd\r\n\r\n");
    let head = [head.as_bytes(), &FRAME].concat();
    Answer::Endless(head, NEWLINES.repeat(4), Duration::ZERO)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endless_newlines_stop_neither_the_workers_timer_nor_its_end() {
    let server = Server::start(|_, _| endless_newlines()).await;
    let patient = Duration::from_secs(600);
    let mut pipeline = server
        .worker(|settings| {
            settings.powersync.give_up_after = patient;
            settings.worker.job_timeout = Duration::from_millis(300);
            settings.worker.job_deadline = patient;
        })
        .await;
    let failure = pipeline.seed("7").await.unwrap_err();
    assert!(
        failure.message.contains("worker.job_timeout"),
        "{}",
        failure.message
    );

    let mut pipeline = server
        .worker(|settings| {
            settings.powersync.give_up_after = patient;
            settings.worker.slots = Some(4);
        })
        .await;
    let before = server.requests().len();
    for store in ["1", "2", "3", "4"] {
        let claims = json!({ "store_id": store });
        pipeline.publish(&job(store, claims, Vec::new())).await;
    }
    wait::until("all slots read", async || {
        server.requests().len() >= before + 4
    })
    .await;
    pipeline.shutdown.drain.cancel();
    pipeline.shutdown.abort.cancel();
    pipeline.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_bytes_without_an_operation_is_left() {
    let server = Server::start(|_, _| endless_newlines()).await;
    let mut pipeline = server
        .worker(|settings| settings.powersync.give_up_after = Duration::from_millis(1_500))
        .await;
    let failure = pipeline.seed("7").await.unwrap_err();
    let message = &failure.message;
    let limit = MAX_BYTES_WITHOUT_OPERATION.to_string();
    let is_named = message.contains(&limit) || message.contains("powersync.give_up_after");
    assert!(is_named, "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keepalives_and_checkpoints_for_ever_are_given_up() {
    let keepalive = "{\"token_expires_in\":3600}\n";
    let checkpoint = "{\"checkpoint\":{\"last_op_id\":\"1\",\"buckets\":[{\"bucket\":\"a[]\",\"checksum\":1,\"count\":1}]}}\n";
    for line in [keepalive, checkpoint] {
        let server = Server::start(move |_, _| {
            let (head, line) = (LINES.as_bytes().to_vec(), line.as_bytes().to_vec());
            Answer::Endless(head, line, Duration::from_millis(20))
        })
        .await;
        let mut pipeline = server
            .worker(|settings| settings.powersync.give_up_after = Duration::from_secs(1))
            .await;
        let failure = pipeline.seed("7").await.unwrap_err();
        let message = &failure.message;
        assert!(
            message.contains("no operation has arrived for 1s"),
            "{message}"
        );
    }
}

/// The only thread of this runtime waits for the answer, as jobs might.
#[tokio::test]
async fn probes_are_answered_while_every_thread_of_the_worker_is_busy() {
    let broker = Arc::new(MemoryBroker::default());
    let loopback = "127.0.0.1:0".parse().unwrap();
    let drain = Shutdown::default().drain;
    let health = HealthServer::start(loopback, broker, drain.clone()).unwrap();
    let ask = |path: &str| {
        let mut socket = TcpStream::connect(health.address()).unwrap();
        write!(socket, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(ask("/healthz").starts_with("HTTP/1.0 200"));
    assert!(ask("/readyz").starts_with("HTTP/1.0 200"));
    drain.cancel();
    assert!(ask("/readyz").starts_with("HTTP/1.0 503"));
    let address = health.address();
    drop(health);
    wait::until("nobody listens", async || {
        TcpStream::connect(address).is_err()
    })
    .await;
}
