//! Bad input, wrong settings and unreachable parts on a cluster: each is reported, and nothing is lost.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use chrono::Utc;
use lapin::{
    BasicProperties,
    options::{BasicPublishOptions, QueueDeclareOptions},
    types::FieldTable,
};
use seedbed_protocol::{
    Attempt, JobId, RunId, StoreId,
    broker::{Headers, Message, Queue},
    message::codec,
    message::{EventKind, SeedEvent},
};
use serde_json::json;
use testkit::{
    cluster::{Cluster, RUN},
    pipeline::job,
    program::{Ended, Process, stop},
    wait,
};

use super::broker::support::other_program;

/// What `seedbed run` and `seedbed-worker` say before they end with `code`.
async fn both_end_with(cluster: &Cluster, code: i32) -> [Ended; 2] {
    let ended = [
        cluster.run(&[]).await,
        cluster.program.start_worker().end().await,
    ];
    for ended in &ended {
        assert_eq!(ended.code, Some(code), "{ended}");
        assert!(!ended.error.contains("hunter2"), "{ended}");
    }
    ended
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_no_jobs_or_events_are_parked_once_and_the_run_ends() {
    let cluster = Cluster::start().await;
    let stores = cluster.add_stores(6, 5);
    let broker = cluster.broker().await;
    let (_connection, channel) = other_program(&cluster.broker_url).await;
    let publish = async |queue: Queue, body: &[u8]| {
        let published = channel.basic_publish(
            "".into(),
            queue.name().into(),
            BasicPublishOptions::default(),
            body,
            BasicProperties::default(),
        );
        published.await.unwrap();
    };
    let foreign: [&[u8]; 4] = [b"", b"garbage", &[0xCA, 99, 1, 2], &[0xCE, 99, 1, 2]];
    let of_nobody = codec::encode(&event_of_nobody()).unwrap();
    let run = cluster.program.start(&RUN);
    for body in foreign {
        publish(Queue::Jobs, body).await;
        publish(Queue::Events, body).await;
    }
    publish(Queue::Events, &of_nobody).await;
    let workers = cluster.start_workers(1);
    let ended = run.end().await;
    assert_eq!(ended.code, Some(0), "{ended}");
    cluster.assert_seeded(&stores).await;
    wait::until("all are parked", async || {
        broker.waiting(Queue::ParkedJobs).await.unwrap() == 4
            && broker.waiting(Queue::ParkedEvents).await.unwrap() == 5
    })
    .await;
    assert_eq!(
        cluster.status().await["parked"],
        json!({"jobs": 0, "messages": 4, "events": 5})
    );
    let log = workers[0].error();
    assert_eq!(log.matches("parking a message").count(), 4, "{log}");
    for queue in [Queue::Jobs, Queue::Events] {
        assert_eq!(broker.waiting(queue).await.unwrap(), 0);
        let mut bodies = BTreeSet::new();
        while let Some(parked) = broker.take(queue.parking()).await.unwrap() {
            assert!(parked.message.headers.parked.is_some(), "it says why");
            bodies.insert(parked.message.body.to_vec());
            parked.ack().await.unwrap();
        }
        let mut expected: BTreeSet<Vec<u8>> = foreign.iter().map(|body| body.to_vec()).collect();
        if queue == Queue::Events {
            expected.insert(of_nobody.clone());
        }
        assert_eq!(bodies, expected);
    }
    stop(workers).await;
    broker.close().await;
}

/// A whole event, of a job that no catalog knows.
fn event_of_nobody() -> SeedEvent {
    SeedEvent {
        run_id: RunId::new(),
        job_id: JobId::new(),
        store_id: StoreId::new("store-1").unwrap(),
        attempt: Attempt::FIRST,
        at: Utc::now(),
        worker: "somebody".to_owned(),
        kind: EventKind::Started { trace_id: None },
        steps: Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_without_headers_that_no_catalog_knows_is_seeded_and_its_events_are_parked() {
    let cluster = Cluster::start().await;
    let stores = cluster.add_stores(2, 5);
    let broker = cluster.broker().await;
    let of_nobody = job("store-1", json!({"store_id": "store-1"}), Vec::new());
    let headless = Message {
        body: codec::encode(&of_nobody).unwrap().into(),
        headers: Headers::default(),
    };
    broker.publish(Queue::Jobs, headless).await.unwrap();
    let workers = cluster.start_workers(1);
    wait::until("it has started and completed", async || {
        broker.waiting(Queue::Events).await.unwrap() == 2
    })
    .await;
    let ended = cluster.run(&[]).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    cluster.assert_seeded(&stores).await;
    stop(workers).await;
    let parked = &cluster.status().await["parked"];
    assert_eq!(*parked, json!({"jobs": 0, "messages": 0, "events": 2}));
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_a_newer_version_fails_with_a_word_and_is_seeded_after_a_retry() {
    let cluster = Cluster::start().await;
    let stores = cluster.add_stores(1, 5);
    let broker = cluster.broker().await;
    let run = cluster.program.start(&RUN);
    wait::until("its job is published", async || {
        broker.waiting(Queue::Jobs).await.unwrap() == 1
    })
    .await;
    let delivery = broker.take(Queue::Jobs).await.unwrap().unwrap();
    let mut newer = delivery.message.clone();
    newer.body = [&[0xCA, 99], &newer.body[2..]].concat().into();
    broker.publish(Queue::Jobs, newer).await.unwrap();
    delivery.ack().await.unwrap();
    let workers = cluster.start_workers(1);
    let ended = run.end().await;
    assert_eq!(ended.code, Some(1), "{ended}");
    let shown = cluster.status().await;
    let failure = &shown["failures"][0];
    assert_eq!(failure["kind"], "permanent");
    let message = failure["message"].as_str().unwrap();
    assert!(message.contains("version 99") && message.contains("update it"));
    assert_eq!(cluster.service.metrics().total.requests, 0);
    wait::until("it is parked", async || {
        broker.waiting(Queue::ParkedJobs).await.unwrap() == 1
    })
    .await;
    let ended = cluster.program.run(&["retry"]).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    cluster.assert_seeded(&stores).await;
    assert_eq!(broker.waiting(Queue::ParkedJobs).await.unwrap(), 0);
    stop(workers).await;
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_with_other_arguments_is_refused_with_the_way_out() {
    let cluster = Cluster::start().await;
    cluster.add_stores(1, 1);
    let (_connection, channel) = other_program(&cluster.broker_url).await;
    let declared = channel.queue_declare(
        "seed.jobs".into(),
        QueueDeclareOptions::durable(),
        FieldTable::default(),
    );
    declared.await.unwrap();
    for ended in both_end_with(&cluster, 2).await {
        let way_out = "rabbitmqctl delete_queue seed.jobs";
        assert!(ended.error.contains(way_out), "{ended}");
        assert!(ended.error.contains("new virtual host"), "{ended}");
    }
    let catalog = cluster.catalog().await;
    assert!(catalog.runs(1).await.unwrap().is_empty());
    catalog.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_virtual_host_without_permission_is_refused_with_the_way_in() {
    let mut cluster = Cluster::start().await;
    cluster.add_stores(1, 1);
    cluster.rabbitmq.add_vhost("not-ours");
    cluster.rabbitmq.add_user("stranger", "hunter2");
    let url = cluster.rabbitmq.url_with("stranger:hunter2", "not-ours");
    cluster.program.set("BROKER__URL", &url);
    let ended = cluster.run(&[]).await;
    assert_eq!(ended.code, Some(2), "{ended}");
    cluster.program.set("LOG__LEVEL", "info");
    let mut worker = cluster.program.start_worker();
    let tries = |worker: &Process| worker.error().contains("trying again");
    worker.until("it waits for the permission", tries).await;
    for said in [&ended.error, &worker.error()] {
        for part in ["broker.url", "not-ours", "set_permissions"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(!said.contains("hunter2"), "{said}");
    }
    cluster.rabbitmq.allow("stranger", "not-ours");
    let takes = |worker: &Process| worker.error().contains("taking jobs");
    worker.until("it takes jobs", takes).await;
    worker.stop().await;
    let catalog = cluster.catalog().await;
    assert!(catalog.runs(1).await.unwrap().is_empty());
    catalog.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_of_a_newer_version_is_refused_and_left_as_it_is() {
    let cluster = Cluster::start().await;
    let stores = cluster.add_stores(2, 5);
    let ended = cluster.run(&["--no-wait"]).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    let url = &cluster.catalog_url;
    let of_the_future = "INSERT INTO _sqlx_migrations \
        (version, description, success, checksum, execution_time) \
        VALUES (9999, 'of the future', true, '\\x00', 0)";
    cluster.postgres.execute_in(url, of_the_future);
    for arguments in [&RUN[..], &["status"], &["gc"], &["retry"]] {
        let ended = cluster.program.run(arguments).await;
        assert_eq!(ended.code, Some(2), "{arguments:?}: {ended}");
        assert!(ended.error.contains("newer version of Seedbed"), "{ended}");
    }
    let back = "DELETE FROM _sqlx_migrations WHERE version = 9999";
    cluster.postgres.execute_in(url, back);
    let catalog = cluster.catalog().await;
    let runs = catalog.runs(10).await.unwrap();
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0].totals.in_flight, 2);
    catalog.close().await;
    let workers = cluster.start_workers(1);
    let ended = cluster.run(&[]).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    cluster.assert_seeded(&stores).await;
    stop(workers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_without_rabbitmq_gives_up_in_time_and_lists_nothing() {
    let mut cluster = Cluster::start().await;
    let stores = cluster.add_stores(3, 5);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let right = cluster.broker_url.clone();
    let away = format!("amqp://seedbed:hunter2@127.0.0.1:{port}");
    cluster.program.set("BROKER__URL", &away);
    cluster.program.set("BROKER__CONNECT_TIMEOUT", "1s");
    cluster.program.set("SYNC__WAIT_FOR_PARTS", "1s");
    let started = Instant::now();
    let ended = cluster.run(&[]).await;
    assert_eq!(ended.code, Some(3), "{ended}");
    assert!(ended.error.contains("cannot reach RabbitMQ"), "{ended}");
    assert!(!ended.error.contains("hunter2"), "{ended}");
    assert!(started.elapsed() < Duration::from_secs(45), "1 s");
    let catalog = cluster.catalog().await;
    assert!(catalog.runs(1).await.unwrap().is_empty());
    catalog.close().await;
    cluster.program.set("BROKER__URL", &right);
    cluster.program.set("BROKER__CONNECT_TIMEOUT", "30s");
    let workers = cluster.start_workers(1);
    let ended = cluster.run(&[]).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    cluster.assert_seeded(&stores).await;
    stop(workers).await;
}
