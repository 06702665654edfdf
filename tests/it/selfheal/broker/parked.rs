//! Jobs whose messages end up in the queue of parked jobs, by whatever hand: each gets an outcome, and nobody has to help.

use seedbed::catalog::{JobFilter, JobRecord, JobState};
use seedbed_protocol::{
    Attempt, RunId,
    broker::{Broker, Delivery, Headers, Message, Queue, Subject},
    message::SeedJob,
};
use testkit::{
    cluster::{Cluster, RUN},
    program::{Process, stop},
    serving::{SERVE, Serving},
    wait,
};

/// The attempts that a job of a cluster has.
const ATTEMPTS: u32 = 5;

/// Lists a run, which nobody works on, and takes the message of its one job.
async fn published(cluster: &Cluster, broker: &dyn Broker) -> Delivery {
    let ended = cluster.run(&["--no-wait"]).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    broker.take(Queue::Jobs).await.unwrap().unwrap()
}

/// Moves a job to the parked ones, as a person would, at this attempt.
async fn park_by_hand(broker: &dyn Broker, delivery: Delivery, attempt: u32) {
    let mut job: SeedJob = delivery.message.decode().unwrap();
    job.attempt = Attempt::new(attempt).unwrap();
    let message = Message::job(&job, delivery.message.headers.trace.clone()).unwrap();
    broker.publish(Queue::ParkedJobs, message).await.unwrap();
    delivery.ack().await.unwrap();
}

/// Waits until the newest job of the newest run has come to that.
async fn until(cluster: &Cluster, what: &str, holds: impl Fn(&JobRecord) -> bool) -> JobRecord {
    let catalog = cluster.catalog().await;
    let job = wait::for_some(what, async || {
        let runs = catalog.runs(1).await.unwrap();
        let run_id: RunId = runs.first()?.run_id;
        let filter = JobFilter::default();
        let (jobs, _) = catalog.jobs_page(run_id, &filter, None, 1).await.unwrap();
        jobs.into_iter().next().filter(|job| holds(job))
    });
    let job = job.await;
    catalog.close().await;
    job
}

fn says(job: &JobRecord, text: &str) -> bool {
    let failure = job.failure.as_ref();
    failure.is_some_and(|failure| failure.message.contains(text))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_permission_is_taken_away_for_a_while_costs_no_job() {
    let mut cluster = Cluster::start().await;
    let stores = cluster.add_stores(3, 20);
    let own = cluster.broker_url.clone();
    let vhost = own.rsplit('/').next().unwrap().to_owned();
    let user = format!("worker-of-{vhost}");
    cluster.rabbitmq.add_user(&user, "secret");
    cluster.rabbitmq.allow(&user, &vhost);
    let url = cluster.rabbitmq.url_with(&format!("{user}:secret"), &vhost);
    cluster.program.set("BROKER__URL", url);
    cluster
        .program
        .set("LOG__LEVEL", "info,seedbed_worker=debug");
    cluster.program.set("WORKER__HEARTBEAT", "200ms");
    let mut worker = cluster.program.start_worker();
    let says = |text: &'static str| move |worker: &Process| worker.error().contains(text);
    worker.until("it takes jobs", says("taking jobs")).await;
    cluster.program.set("BROKER__URL", own);
    // RabbitMQ asks for permissions when a channel is first used: the missing queue makes the worker open another one.
    let configures_nothing = ["set_permissions", "-p", &vhost, &user, "^$", ".*", ".*"];
    cluster.rabbitmq.ctl(&configures_nothing);
    cluster
        .rabbitmq
        .ctl(&["delete_queue", "-p", &vhost, "seed.workers"]);
    worker
        .until("it is refused", says("cannot publish now"))
        .await;
    let run = cluster.program.start(&RUN);
    let broker = cluster.broker().await;
    wait::until("the worker holds two jobs, and cannot report", async || {
        broker.waiting(Queue::Jobs).await == Ok(1)
    })
    .await;
    cluster.rabbitmq.allow(&user, &vhost);
    let ended = run.end().await;
    assert_eq!(ended.code, Some(0), "{ended}");
    cluster.assert_seeded(&stores).await;
    assert_eq!(broker.waiting(Queue::ParkedJobs).await, Ok(0));
    broker.close().await;
    stop(vec![worker]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_whose_time_in_the_queue_ran_out_are_tried_again() {
    let cluster = Cluster::start().await;
    let stores = cluster.add_stores(2, 5);
    let vhost = cluster.broker_url.rsplit('/').next().unwrap();
    let broker = cluster.broker().await;
    let policy = r#"{"message-ttl":1}"#;
    cluster.rabbitmq.ctl(&[
        "set_policy",
        "-p",
        vhost,
        "--apply-to",
        "queues",
        "ttl",
        "^seed\\.jobs$",
        policy,
    ]);
    let run = cluster.program.start(&RUN);
    let job = until(&cluster, "it was dead-lettered", |job| {
        says(job, "dead-lettered")
    });
    let job = job.await;
    assert!(says(&job, "message-ttl"), "{job:?}");
    assert!(job.state.is_in_flight(), "it has attempts left: {job:?}");
    cluster.rabbitmq.ctl(&["clear_policy", "-p", vhost, "ttl"]);
    let workers = cluster.start_workers(1);
    let ended = run.end().await;
    assert_eq!(ended.code, Some(0), "{ended}");
    cluster.assert_seeded(&stores).await;
    stop(workers).await;
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_job_without_attempts_has_failed_and_is_retried_from_the_catalog() {
    let mut cluster = Cluster::start().await;
    Serving::prepare(&mut cluster.program);
    let stores = cluster.add_stores(1, 5);
    let broker = cluster.broker().await;
    let delivery = published(&cluster, &*broker).await;
    park_by_hand(&*broker, delivery, ATTEMPTS).await;
    let server = Serving::start(&cluster.program, &SERVE).await;
    let job = until(&cluster, "it has failed", |job| {
        job.state == JobState::Failed
    })
    .await;
    assert!(says(&job, "dead-lettered: something moved it"), "{job:?}");
    wait::until("its message is gone", async || {
        broker.waiting(Queue::ParkedJobs).await == Ok(0)
    })
    .await;
    let shown = cluster.status().await;
    assert_eq!(shown["parked"]["jobs"], 1);
    wait::until("its run has ended", async || {
        cluster.status().await["runs"][0]["state"] == "failed"
    })
    .await;
    let workers = cluster.start_workers(1);
    let ended = cluster.program.run(&["retry"]).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    cluster.assert_seeded(&stores).await;
    assert_eq!(cluster.status().await["parked"]["jobs"], 0);
    server.process.stop().await;
    stop(workers).await;
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_finds_a_job_that_was_parked_while_nobody_looked() {
    let cluster = Cluster::start().await;
    let stores = cluster.add_stores(1, 5);
    let broker = cluster.broker().await;
    let delivery = published(&cluster, &*broker).await;
    park_by_hand(&*broker, delivery, ATTEMPTS).await;
    let workers = cluster.start_workers(1);
    let ended = cluster.program.run(&["retry"]).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    cluster.assert_seeded(&stores).await;
    assert_eq!(broker.waiting(Queue::ParkedJobs).await, Ok(0));
    stop(workers).await;
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_stays_and_the_job_that_it_names_has_failed() {
    let mut cluster = Cluster::start().await;
    Serving::prepare(&mut cluster.program);
    cluster.add_stores(1, 5);
    let broker = cluster.broker().await;
    let delivery = published(&cluster, &*broker).await;
    let job: SeedJob = delivery.message.decode().unwrap();
    let newer = Message {
        body: [&[0xCA, 99], &delivery.message.body[2..]].concat().into(),
        headers: Headers {
            subject: Some(Subject::of(&job)),
            ..Headers::default()
        },
    };
    let garbage = Message {
        body: b"garbage".to_vec().into(),
        headers: Headers::default(),
    };
    delivery.ack().await.unwrap();
    for message in [newer, garbage] {
        broker.publish(Queue::ParkedJobs, message).await.unwrap();
    }
    let server = Serving::start(&cluster.program, &SERVE).await;
    let job = until(&cluster, "it has failed", |job| {
        job.state == JobState::Failed
    })
    .await;
    assert!(
        says(&job, "dead-lettered") && says(&job, "update"),
        "{job:?}"
    );
    wait::until("the alert's metric says so", async || {
        let metrics = server.admin("/metrics").await;
        let metrics = String::from_utf8(metrics.body).unwrap();
        let line = metrics
            .lines()
            .find(|l| l.starts_with("seedbed_jobs_unreadable"));
        line.is_some_and(|line| line.ends_with(" 2"))
    })
    .await;
    assert_eq!(broker.waiting(Queue::ParkedJobs).await, Ok(2));
    let overview = server.admin("/api/overview").await.json();
    assert_eq!(overview["parked"]["messages"], 2, "{overview}");
    let shown = cluster.program.run(&["status"]).await;
    assert!(
        shown.output.contains("messages in seed.jobs.dead: 2"),
        "{shown}"
    );
    // What names a store goes when a later job of it succeeds.
    let workers = cluster.start_workers(1);
    let ended = cluster.run(&[]).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    wait::until("one message is left", async || {
        broker.waiting(Queue::ParkedJobs).await == Ok(1)
    })
    .await;
    let left = broker.take(Queue::ParkedJobs).await.unwrap().unwrap();
    assert_eq!(&left.message.body[..], b"garbage");
    left.ack().await.unwrap();
    server.process.stop().await;
    stop(workers).await;
    broker.close().await;
}
