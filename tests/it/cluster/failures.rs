//! Jobs that fail on a cluster are retried or parked; a run survives a restart of its broker.

use std::{collections::HashMap, sync::Arc, time::Duration};

use chrono::TimeDelta;
use seedbed_protocol::{
    StoreId,
    broker::Queue,
    message::{EventKind, Failure, FailureKind, SeedEvent},
};
use serde_json::json;
use testkit::{
    cluster::{Cluster, RUN},
    objects::ObjectServer,
    powersync::{Fault, Metrics},
    program::stop,
    servers::RabbitMq,
};
use tokio::time::timeout;

/// Longer than anything takes that is awaited here.
const SOON: Duration = Duration::from_secs(180);

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
    let ended = cluster.run(&["--json"]).await;
    assert_eq!(ended.code, Some(1), "{ended}");
    let summary = ended.objects().pop().unwrap();
    assert_eq!(
        (&summary["seeded"], &summary["failed"]),
        (&json!(1), &json!(1))
    );
    stop(workers).await;
    assert_eq!(cluster.service.metrics().store("store-1").requests, 1);
    let shown = cluster.status().await;
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
    let stores = cluster.add_stores(6, 5);
    cluster.program.set("WORKER__BACKOFF", "100ms");
    cluster.program.set("WORKER__MAX_BACKOFF", "1m");
    // Less than any pause: one stream an attempt.
    cluster.program.set("POWERSYNC__GIVE_UP_AFTER", "100ms");
    let away = Fault::Status {
        status: 503,
        retry_after: None,
    };
    cluster.service.faults().with_probability(1.0, away);
    let workers = cluster.start_workers(1);
    let ended = cluster.run(&["--no-wait"]).await;
    assert_eq!(ended.code, Some(0), "{ended}");

    let broker = cluster.broker().await;
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
    let mut jitters = Vec::new();
    for (store, tries) in &tries {
        assert_eq!(tries.len(), TRIES, "{store}");
        let transient = |a_try: &Try| a_try.failure.kind == FailureKind::Transient;
        assert!(tries.iter().all(transient));
        let delays: Vec<TimeDelta> = tries.iter().filter_map(|a_try| a_try.delay).collect();
        assert_eq!(delays.len(), TRIES - 1);
        for (doublings, delay) in delays.iter().enumerate() {
            let middle = BACKOFF_MILLIS * f64::from(1 << doublings);
            let delay = delay.num_microseconds().unwrap() as f64 / 1_000.0;
            // The event is written a moment after its delay was decided on, which a busy machine makes longer.
            let allowed = middle * 0.5 - 250.0..=middle * 1.5;
            assert!(allowed.contains(&delay), "{store}: {delay} of {middle}");
            // In longer delays, that moment is too short to pass for jitter.
            if doublings >= 2 {
                jitters.push(delay / middle);
            }
        }
        assert!(delays[0] < delays[3], "{delays:?}");
    }
    jitters.sort_by(f64::total_cmp);
    let spread = jitters[jitters.len() - 1] - jitters[0];
    assert!(
        spread > 0.15,
        "they would all come back together: {jitters:?}"
    );
    stop(workers).await;
    assert_eq!(cluster.status().await["parked"]["messages"], stores.len());
    broker.close().await;
}

/// A try that failed.
struct Try {
    failure: Failure,
    /// Until the next one.
    delay: Option<TimeDelta>,
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
        let ended = cluster.run(&[]).await;
        assert_eq!(ended.code, Some(1), "{ended}");
        for store in &stores {
            let requests = cluster.service.metrics().store(store).requests;
            assert_eq!(requests, 1, "another try could not help");
        }
        let shown = cluster.status().await;
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
        assert_eq!(cluster.status().await["parked"]["jobs"], 2);

        for (name, value) in right {
            cluster.program.set_variable(&name, value);
        }
        let workers = cluster.start_workers(1);
        let ended = cluster.program.run(&["retry"]).await;
        assert_eq!(ended.code, Some(0), "{ended}");
        cluster.assert_seeded(&stores).await;
        assert_eq!(cluster.status().await["parked"]["jobs"], 0);
        stop(workers).await;
    }
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
    let at_least = |streams| move |metrics: &Metrics| metrics.total.streams >= streams;
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
    cluster.assert_seeded(&stores).await;
    stop(workers).await;
}
