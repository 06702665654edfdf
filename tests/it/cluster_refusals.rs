//! What a cluster does with bad input, wrong settings and parts that are away: it says what is wrong, and loses
//! nothing.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{TimeDelta, Utc};
use lapin::{
    BasicProperties,
    options::{BasicPublishOptions, QueueDeclareOptions},
    types::FieldTable,
};
use seedbed_protocol::{
    Attempt, JobId, RunId, StoreId,
    broker::Queue,
    codec,
    message::{EventKind, Failure, FailureKind, SeedEvent},
};
use serde_json::json;
use testkit::{
    cluster::Cluster, objects::ObjectServer, powersync::Fault, program::Ended, rabbitmq::RabbitMq,
};
use tokio::time::timeout;

use crate::{
    cluster::{assert_seeded, connect, objects, status, stop},
    rabbitmq::{eventually, other_program},
};

const RUN: [&str; 3] = ["run", "--stores", "stores.ndjson"];

/// Longer than anything takes that is awaited here.
const SOON: Duration = Duration::from_secs(60);

/// What `seedbed run` and `seedbed-worker` say before they end with `code`.
async fn both_end_with(cluster: &Cluster, code: i32) -> [Ended; 2] {
    let ended = [
        cluster.program.run(&RUN).await,
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
    let broker = connect(&cluster).await;
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
    assert_seeded(&cluster, &stores).await;
    eventually("all are parked", async || {
        broker.waiting(Queue::ParkedJobs).await.unwrap() == 4
            && broker.waiting(Queue::ParkedEvents).await.unwrap() == 5
    })
    .await;
    assert_eq!(
        status(&cluster).await["parked"],
        json!({"jobs": 4, "events": 5})
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
    }
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
    for ended in both_end_with(&cluster, 2).await {
        for part in ["broker.url", "not-ours", "set_permissions"] {
            assert!(ended.error.contains(part), "{part}: {ended}");
        }
    }
    let catalog = cluster.catalog().await;
    assert!(catalog.runs(1).await.unwrap().is_empty());
    catalog.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_of_a_newer_version_is_refused_and_left_as_it_is() {
    let cluster = Cluster::start().await;
    let stores = cluster.add_stores(2, 5);
    let no_wait = [&RUN[..], &["--no-wait"]].concat();
    let ended = cluster.program.run(&no_wait).await;
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
    let ended = cluster.program.run(&RUN).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    assert_seeded(&cluster, &stores).await;
    stop(workers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_a_worker_with_wrong_access_to_s3_are_parked_and_come_back_when_it_is_right() {
    for (variable, wrong, named) in [
        ("SEEDBED_SNAPSHOTS__URL", "s3://nowhere", "snapshots.url"),
        ("AWS_SECRET_ACCESS_KEY", "hunter2", "set AWS_ACCESS_KEY_ID"),
    ] {
        let objects = ObjectServer::s3().await;
        let mut cluster = Cluster::on(RabbitMq::shared(), Some(objects)).await;
        let stores = cluster.add_stores(2, 5);
        let server = cluster.objects.as_ref().unwrap();
        let mut right = server.variables.clone();
        right.push(("SEEDBED_SNAPSHOTS__URL".to_owned(), server.url.clone()));
        cluster.program.set_variable(variable, wrong);
        let workers = cluster.start_workers(1);
        let ended = cluster.program.run(&RUN).await;
        assert_eq!(ended.code, Some(1), "{ended}");
        for store in &stores {
            let requests = cluster.service.metrics().store(store).requests;
            assert_eq!(requests, 1, "another try could not help");
        }
        let shown = status(&cluster).await;
        let failures = shown["failures"].as_array().unwrap();
        assert_eq!(failures.len(), 2);
        for failure in failures {
            assert_eq!(failure["kind"], "permanent", "{failure}");
            assert_eq!(failure["step"], "upload", "{failure}");
            let message = failure["message"].as_str().unwrap();
            assert!(message.contains(named), "{message}");
            assert!(!message.contains("hunter2"), "{message}");
        }
        assert!(!workers[0].error().contains("hunter2"));
        stop(workers).await;
        // A job is failed in the catalog a moment before its message is parked.
        assert_eq!(status(&cluster).await["parked"]["jobs"], 2);

        for (name, value) in right {
            cluster.program.set_variable(&name, value);
        }
        let workers = cluster.start_workers(1);
        let ended = cluster.program.run(&["retry"]).await;
        assert_eq!(ended.code, Some(0), "{ended}");
        assert_seeded(&cluster, &stores).await;
        assert_eq!(status(&cluster).await["parked"]["jobs"], 0);
        stop(workers).await;
    }
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
    let started = Instant::now();
    for ended in both_end_with(&cluster, 1).await {
        assert!(ended.error.contains("cannot reach RabbitMQ"), "{ended}");
    }
    assert!(started.elapsed() < Duration::from_secs(20), "1 s each");
    let catalog = cluster.catalog().await;
    assert!(catalog.runs(1).await.unwrap().is_empty());
    catalog.close().await;
    cluster.program.set("BROKER__URL", &right);
    cluster.program.set("BROKER__CONNECT_TIMEOUT", "30s");
    let workers = cluster.start_workers(1);
    let ended = cluster.program.run(&RUN).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    assert_seeded(&cluster, &stores).await;
    stop(workers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_when_rabbitmq_restarts_in_the_middle() {
    let rabbitmq = Arc::new(RabbitMq::start());
    let cluster = Cluster::on(rabbitmq.clone(), None).await;
    let stores = cluster.add_stores(60, 10);
    let slow = Fault::Delay(Duration::from_millis(100));
    cluster.service.faults().with_probability(1.0, slow);
    let workers = cluster.start_workers(2);
    let mut run = cluster.program.start(&RUN);
    let at_least =
        |streams| move |metrics: &testkit::powersync::Metrics| metrics.total.streams >= streams;
    cluster.service.wait_for(at_least(8)).await;
    rabbitmq.stop();
    let before = cluster.service.metrics().total.streams;
    assert!(before < 60, "it was not in the middle");
    let resumed = tokio::task::spawn_blocking(move || rabbitmq.resume());
    resumed.await.unwrap();
    cluster.service.wait_for(at_least(before + 8)).await;
    assert!(run.is_running(), "{}", run.error());
    let ended = run.end().await;
    assert_eq!(ended.code, Some(0), "{ended}");
    assert_seeded(&cluster, &stores).await;
    stop(workers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permanent_failure_is_not_tried_again() {
    let cluster = Cluster::start().await;
    cluster.add_stores(2, 5);
    let too_many_buckets = Fault::Error {
        status: 403,
        code: "PSYNC_S2305",
    };
    cluster
        .service
        .faults()
        .always_for("store-1", too_many_buckets);
    let workers = cluster.start_workers(1);
    let ended = cluster.program.run(&[&RUN[..], &["--json"]].concat()).await;
    assert_eq!(ended.code, Some(1), "{ended}");
    let summary = objects(&ended).pop().unwrap();
    assert_eq!(
        (&summary["seeded"], &summary["failed"]),
        (&json!(1), &json!(1))
    );
    stop(workers).await;
    assert_eq!(cluster.service.metrics().store("store-1").requests, 1);
    let shown = status(&cluster).await;
    let failure = &shown["failures"][0];
    assert_eq!(
        (&failure["kind"], &failure["attempts"]),
        (&json!("permanent"), &json!(1))
    );
    assert_eq!(shown["parked"]["jobs"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transient_failure_is_tried_again_after_growing_and_jittered_delays() {
    const BACKOFF_MILLIS: f64 = 100.0;
    const TRIES: usize = 5;
    let mut cluster = Cluster::start().await;
    let stores = cluster.add_stores(4, 5);
    cluster.program.set("WORKER__BACKOFF", "100ms");
    cluster.program.set("WORKER__MAX_BACKOFF", "1m");
    cluster.program.set("POWERSYNC__MAX_RECONNECTS", "0");
    let away = Fault::Status {
        status: 503,
        retry_after: None,
    };
    cluster.service.faults().with_probability(1.0, away);
    let workers = cluster.start_workers(1);
    let no_wait = [&RUN[..], &["--no-wait"]].concat();
    let ended = cluster.program.run(&no_wait).await;
    assert_eq!(ended.code, Some(0), "{ended}");

    let broker = connect(&cluster).await;
    let mut consumer = broker.consume(Queue::Events, 16).await.unwrap();
    let mut tries: HashMap<StoreId, Vec<Try>> = HashMap::new();
    let mut over = 0;
    while over < stores.len() {
        let delivery = timeout(SOON, consumer.next()).await.unwrap().unwrap();
        let event: SeedEvent = delivery.message.decode().unwrap();
        delivery.ack().await.unwrap();
        let tries = tries.entry(event.store_id.clone()).or_default();
        let EventKind::Failed(failure) = event.kind else {
            // The one before it said when this one may start.
            let due = tries.last().and_then(|before| before.failure.retry_at);
            assert!(due.is_none_or(|due| event.at >= due), "it came too early");
            continue;
        };
        over += usize::from(failure.retry_at.is_none());
        tries.push(Try {
            delay: failure.retry_at.map(|retry_at| retry_at - event.at),
            failure,
        });
    }
    let mut first = BTreeSet::new();
    for (store, tries) in &tries {
        assert_eq!(tries.len(), TRIES, "{store}");
        let transient = |a_try: &Try| a_try.failure.kind == FailureKind::Transient;
        assert!(tries.iter().all(transient));
        let delays: Vec<TimeDelta> = tries.iter().filter_map(|a_try| a_try.delay).collect();
        assert_eq!(delays.len(), TRIES - 1);
        first.insert(delays[0]);
        for (doublings, delay) in delays.iter().enumerate() {
            let middle = BACKOFF_MILLIS * f64::from(1 << doublings);
            let delay = delay.num_microseconds().unwrap() as f64 / 1_000.0;
            // The event is written a moment after its delay was decided on.
            let allowed = middle * 0.5 - 30.0..=middle * 1.5;
            assert!(allowed.contains(&delay), "{store}: {delay} of {middle}");
        }
        assert!(delays[0] < delays[2] && delays[1] < delays[3], "{delays:?}");
    }
    assert_eq!(first.len(), stores.len(), "each has a delay of its own");
    stop(workers).await;
    assert_eq!(status(&cluster).await["parked"]["jobs"], 4);
    broker.close().await;
}

/// A try that failed.
struct Try {
    failure: Failure,
    /// Until the next one.
    delay: Option<TimeDelta>,
}
