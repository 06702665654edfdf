//! How a worker takes, keeps and gives back jobs: told to stop, short of streams, or handed something that it
//! cannot work on.

use std::time::Duration;

use seedbed_protocol::{
    Attempt, StoreId,
    broker::{Broker, Headers, MemoryBroker, Message, Queue, RETURN_LIMIT},
    message::{EventKind, FailureKind, SeedEvent, SeedJob},
    telemetry::trace::TraceContext,
};
use serde_json::json;
use testkit::{
    pipeline::{Pipeline, job},
    powersync::{Fault, PowerSync},
};

/// How long a job may take that never ends.
const TIMEOUT: Duration = Duration::from_secs(1);

async fn service_with(stores: &[&str]) -> PowerSync {
    let service = PowerSync::builder().start().await.unwrap();
    for store in stores {
        service.add_generated_store(store, 20, 1);
    }
    service
}

fn job_of(store: &str) -> SeedJob {
    job(store, json!({ "store_id": store }), Vec::new())
}

fn message_of(job: &SeedJob) -> Message {
    Message::job(job, TraceContext::default()).unwrap()
}

/// The event that ends a job.
async fn last_event(pipeline: &mut Pipeline) -> SeedEvent {
    loop {
        let event = pipeline.next_event().await;
        match &event.kind {
            EventKind::Started { .. } => {}
            EventKind::Failed(failure) if failure.retry_at.is_some() => {}
            _ => return event,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_drains_finishes_what_it_has_and_takes_no_more() {
    let service = service_with(&["a", "b"]).await;
    let mut pipeline = Pipeline::start_with(&service, |settings| {
        settings.worker.slots = Some(1);
    })
    .await;
    service
        .faults()
        .push(Fault::Delay(Duration::from_millis(300)));
    pipeline.publish(&job_of("a")).await;
    service
        .wait_for(|metrics| metrics.total.requests == 1)
        .await;
    pipeline.shutdown.drain.cancel();
    pipeline.publish(&job_of("b")).await;
    pipeline.stopped().await;
    let event = last_event(&mut pipeline).await;
    assert!(matches!(event.kind, EventKind::Completed { .. }));
    assert_eq!(event.store_id, StoreId::new("a").unwrap());
    assert_eq!(pipeline.broker.waiting(Queue::Jobs).await.unwrap(), 1);
    assert_eq!(service.metrics().store("b").requests, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_outlasts_the_grace_period_is_handed_back_uncounted() {
    let service = service_with(&["a"]).await;
    let mut pipeline = Pipeline::start(&service).await;
    service.faults().push(Fault::StallAfter { bytes: 100 });
    let job = job_of("a");
    pipeline.publish(&job).await;
    service
        .wait_for(|metrics| metrics.total.open_streams == 1)
        .await;
    pipeline.shutdown.drain.cancel();
    pipeline.shutdown.abort.cancel();
    pipeline.stopped().await;
    let mut jobs = pipeline.broker.consume(Queue::Jobs, 1).await.unwrap();
    let back = tokio::time::timeout(Duration::from_secs(60), jobs.next()).await;
    let back = back.unwrap().unwrap();
    assert_eq!(back.returned, 0);
    assert_eq!(back.message.decode::<SeedJob>().unwrap(), job);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_short_of_streams_costs_no_job_an_attempt() {
    let service = PowerSync::builder().max_streams(1).start().await.unwrap();
    let stores: Vec<String> = (0..12).map(|store| format!("store-{store}")).collect();
    for store in &stores {
        service.add_generated_store(store, 500, 1);
    }
    let mut pipeline = Pipeline::start_with(&service, |settings| {
        settings.worker.slots = Some(6);
        settings.worker.max_attempts = 1;
        settings.powersync.give_up_after = Duration::from_secs(1);
    })
    .await;
    for store in &stores {
        pipeline.publish(&job_of(store)).await;
    }
    for _ in &stores {
        let event = last_event(&mut pipeline).await;
        assert!(
            matches!(event.kind, EventKind::Completed { .. }),
            "{event:?}"
        );
        assert_eq!(event.attempt, Attempt::FIRST);
    }
    let refused = service.metrics().total.requests - service.metrics().total.streams;
    assert!(refused > 0, "the service was short of streams");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_never_has_more_streams_open_than_it_may() {
    // Two more than the worker may have open: the service notices late that a stream was left.
    let service = PowerSync::builder()
        .max_streams(4)
        .latency(Duration::from_millis(20))
        .start()
        .await
        .unwrap();
    let mut pipeline = Pipeline::start_with(&service, |settings| {
        settings.worker.slots = Some(6);
        settings.powersync.max_streams = Some(2);
    })
    .await;
    let stores: Vec<String> = (0..10).map(|store| format!("store-{store}")).collect();
    for store in &stores {
        service.add_generated_store(store, 20, 1);
        pipeline.publish(&job_of(store)).await;
    }
    for _ in &stores {
        let event = last_event(&mut pipeline).await;
        assert!(matches!(event.kind, EventKind::Completed { .. }));
    }
    let metrics = service.metrics().total;
    assert_eq!(metrics.requests, metrics.streams, "none was refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_came_back_too_often_is_parked_with_its_reason() {
    let service = service_with(&["a"]).await;
    let broker = MemoryBroker::default();
    broker
        .publish(Queue::Jobs, message_of(&job_of("a")))
        .await
        .unwrap();
    for _ in 0..RETURN_LIMIT {
        drop(broker.take(Queue::Jobs).await.unwrap().unwrap());
    }
    let mut pipeline = Pipeline::start_on(broker, &service, |_| {}).await;
    let event = last_event(&mut pipeline).await;
    let EventKind::Failed(failure) = event.kind else {
        panic!("{event:?}")
    };
    assert_eq!(failure.kind, FailureKind::Permanent);
    assert!(failure.message.contains("5 workers"), "{}", failure.message);
    let parked = parked_reason(&pipeline).await;
    assert_eq!(parked, failure.message);
    assert_eq!(service.metrics().total.requests, 0, "nobody tried again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_a_future_version_fails_by_name_and_is_parked() {
    let service = service_with(&["a"]).await;
    let mut pipeline = Pipeline::start(&service).await;
    let job = job_of("a");
    let mut message = message_of(&job);
    let mut body = message.body.to_vec();
    body[1] = 99;
    message.body = body.into();
    pipeline.broker.publish(Queue::Jobs, message).await.unwrap();
    let event = last_event(&mut pipeline).await;
    assert_eq!(event.job_id, job.job_id);
    let EventKind::Failed(failure) = event.kind else {
        panic!("{event:?}")
    };
    assert!(failure.message.contains("version 99"), "{failure:?}");
    assert_eq!(parked_reason(&pipeline).await, failure.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_parked_and_the_next_job_is_seeded() {
    let service = service_with(&["a"]).await;
    let mut pipeline = Pipeline::start(&service).await;
    let garbage = Message {
        body: b"{\"hello\":1}".to_vec().into(),
        headers: Headers::default(),
    };
    pipeline.broker.publish(Queue::Jobs, garbage).await.unwrap();
    pipeline.seed("a").await.unwrap();
    let reason = parked_reason(&pipeline).await;
    assert!(reason.contains("not a seed job"), "{reason}");
}

/// Why the one parked message was parked.
async fn parked_reason(pipeline: &Pipeline) -> String {
    let mut parked = pipeline.broker.consume(Queue::ParkedJobs, 1).await.unwrap();
    let parked = tokio::time::timeout(Duration::from_secs(60), parked.next()).await;
    let parked = parked.unwrap().unwrap();
    parked.message.headers.parked.clone().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_fails_says_what_its_time_went_into_also_when_its_time_runs_out() {
    let service = service_with(&["refused", "stalls"]).await;
    let refused = Fault::Error {
        status: 403,
        code: "PSYNC_S2101",
    };
    service.faults().always_for("refused", refused);
    let stalls = Fault::StallAfter { bytes: 100 };
    service.faults().always_for("stalls", stalls);
    let mut pipeline = Pipeline::start_with(&service, |settings| {
        settings.worker.max_attempts = 1;
        settings.worker.job_timeout = TIMEOUT;
    })
    .await;
    for (store, at_least) in [("refused", Duration::ZERO), ("stalls", TIMEOUT / 2)] {
        pipeline.publish(&job_of(store)).await;
        let event = last_event(&mut pipeline).await;
        assert!(matches!(event.kind, EventKind::Failed(_)), "{event:?}");
        let [step] = &event.steps[..] else {
            panic!("{event:?}");
        };
        assert_eq!(step.step, "sync", "{store}");
        assert!(step.millis >= at_least.as_millis() as u64, "{event:?}");
    }
}
