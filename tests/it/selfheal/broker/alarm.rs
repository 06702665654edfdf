//! RabbitMQ is short of memory and blocks its publishers.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;
use testkit::{
    cluster::{Cluster, RUN},
    program::stop,
    servers::RabbitMq,
    serving::{SERVE, Serving},
    wait,
};

/// How soon an alarm is to be seen: 5 s, and more on a busy machine.
const SOON: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn an_alarm_is_seen_everywhere_passes_by_itself_and_keeps_nobody_from_stopping() {
    let rabbitmq = Arc::new(RabbitMq::start());
    let mut cluster = Cluster::on(rabbitmq.clone(), None).await;
    Serving::prepare(&mut cluster.program);
    cluster.program.set("WORKER__GRACE", "1s");
    let stores = cluster.add_stores(6, 5);
    let mut workers = cluster.start_workers(2);
    let server = Serving::start(&cluster.program, &SERVE).await;
    let ready = async || server.get("/readyz", None).await;
    wait::until("the server is connected", async || {
        ready().await.body == b"ready\n"
    })
    .await;

    let memory = |part: &str| rabbitmq.ctl(&["set_vm_memory_high_watermark", part]);
    tokio::task::block_in_place(|| memory("0.0001"));
    let raised = Instant::now();
    wait::until("the server says it", async || {
        let answer = ready().await;
        assert_eq!(answer.status, 200, "downloads need no broker");
        answer
            .body
            .starts_with(b"ready, but RabbitMQ takes no messages")
    })
    .await;
    for worker in &mut workers {
        let told = |worker: &testkit::program::Process| {
            worker.error().contains("RabbitMQ takes no messages")
        };
        worker.until("the worker says it", told).await;
    }
    assert!(raised.elapsed() < SOON, "{:?}", raised.elapsed());
    let overview = server.admin("/api/overview").await.json();
    assert_eq!(overview["broker"]["trouble"], "blocked", "{overview}");
    let metrics = server.admin("/metrics").await;
    let metrics = String::from_utf8(metrics.body).unwrap();
    let is_blocked =
        |line: &str| line.starts_with("seedbed_broker_blocked") && line.ends_with(" 1");
    assert!(metrics.lines().any(is_blocked), "{metrics}");
    let status = cluster.status().await;
    assert_eq!(status["broker"]["trouble"], json!("blocked"), "{status}");
    let (is_right, detail) = &cluster.program.check(1).await["broker"];
    assert!(!is_right && detail.contains("memory"), "{detail}");

    // A run begins, and waits.
    let run = cluster.program.start(&RUN);
    let stopping = Instant::now();
    workers.remove(0).stop().await;
    let second = Serving::start(&cluster.program, &SERVE).await;
    second.process.stop().await;
    assert!(stopping.elapsed() < 2 * SOON, "{:?}", stopping.elapsed());

    tokio::task::block_in_place(|| memory("0.4"));
    let ended = run.end().await;
    assert_eq!(ended.code, Some(0), "{ended}");
    cluster.assert_seeded(&stores).await;
    wait::until("the server is content", async || {
        ready().await.body == b"ready\n"
    })
    .await;
    server.process.stop().await;
    stop(workers).await;
}
