//! Queues, an exchange or a whole virtual host are deleted under running programs.

use std::{sync::Arc, time::Duration};

use lapin::{
    Connection, ConnectionProperties,
    options::{ExchangeDeclareOptions, ExchangeDeleteOptions, QueueDeleteOptions},
    types::FieldTable,
};
use seedbed::catalog::RunState;
use seedbed_protocol::broker::Queue;
use testkit::{
    cluster::{Cluster, RUN},
    powersync::Fault,
    program::stop,
    servers::RabbitMq,
    serving::{SERVE, Serving},
    wait,
};

/// The name of a test's virtual host, which is at the end of its URL.
fn vhost(cluster: &Cluster) -> &str {
    let (_, vhost) = cluster.broker_url.rsplit_once('/').unwrap();
    vhost
}

async fn until_waiting(cluster: &Cluster, jobs: u64) {
    let broker = cluster.broker().await;
    wait::until("the jobs are in the queue", async || {
        broker.waiting(Queue::Jobs).await == Ok(jobs)
    })
    .await;
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_whose_queue_was_deleted_are_published_again() {
    let mut cluster = Cluster::start().await;
    cluster.program.set("BROKER__LOST_AFTER", "1s");
    let stores = cluster.add_stores(20, 5);
    let mut run = cluster.program.start(&RUN);
    until_waiting(&cluster, 20).await;
    let other = Connection::connect(&cluster.broker_url, ConnectionProperties::default()).await;
    let channel = other.unwrap().create_channel().await.unwrap();
    for queue in ["seed.jobs", "seed.jobs.delay.1", "seed.events"] {
        let deleted = channel.queue_delete(queue.into(), QueueDeleteOptions::default());
        assert!(deleted.await.is_ok(), "{queue}");
    }
    let deleted = channel.exchange_delete("seed.dead".into(), ExchangeDeleteOptions::default());
    deleted.await.unwrap();
    let workers = cluster.start_workers(2);
    run.until("it says what was lost", |run| {
        run.error().contains("jobs were lost with their messages")
    })
    .await;
    let ended = run.end().await;
    assert_eq!(ended.code, Some(0), "{ended}");
    cluster.assert_seeded(&stores).await;
    for store in &stores {
        let streams = cluster.service.metrics().store(store).streams;
        assert!(streams <= 2, "{store} was seeded {streams} times");
    }
    wait::until("the exchange is there again", async || {
        let channel = Connection::connect(&cluster.broker_url, ConnectionProperties::default());
        let channel = channel.await.unwrap().create_channel().await.unwrap();
        let passive = ExchangeDeclareOptions {
            passive: true,
            ..Default::default()
        };
        let kind = lapin::ExchangeKind::Direct;
        let asked =
            channel.exchange_declare("seed.dead".into(), kind, passive, FieldTable::default());
        asked.await.is_ok()
    })
    .await;
    stop(workers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_outlive_their_virtual_host_and_a_revoked_permission() {
    let rabbitmq = Arc::new(RabbitMq::start());
    let mut cluster = Cluster::on(rabbitmq.clone(), None).await;
    cluster.program.set("BROKER__LOST_AFTER", "1s");
    Serving::prepare(&mut cluster.program);
    let stores = cluster.add_stores(40, 5);
    // The run must not end before RabbitMQ is commanded, which takes seconds on a busy machine.
    let slow = Fault::Delay(Duration::from_secs(2));
    cluster.service.faults().with_probability(1.0, slow);
    let workers = cluster.start_workers(1);
    let server = Serving::start(&cluster.program, &SERVE).await;
    let mut run = cluster.program.start(&RUN);
    let begun = |n| move |metrics: &testkit::powersync::Metrics| metrics.total.streams >= n;
    cluster.service.wait_for(begun(4)).await;
    let name = vhost(&cluster).to_owned();
    let notices = async |what: &str| {
        wait::until(what, async || {
            server.get("/readyz", None).await.body != b"ready\n"
        })
        .await;
    };
    tokio::task::block_in_place(|| {
        rabbitmq.ctl(&["clear_permissions", "-p", &name, "guest"]);
        rabbitmq.ctl(&["close_all_connections", "--vhost", &name, "by a test"]);
    });
    notices("the server notices that it may not enter").await;
    tokio::task::block_in_place(|| rabbitmq.allow("guest", &name));
    let before = cluster.service.metrics().total.streams;
    cluster.service.wait_for(begun(before + 3)).await;
    assert!(run.is_running(), "{}", run.error());
    tokio::task::block_in_place(|| rabbitmq.ctl(&["delete_vhost", &name]));
    notices("the server notices that its virtual host is gone").await;
    tokio::task::block_in_place(|| {
        rabbitmq.add_vhost(&name);
        rabbitmq.allow("guest", &name);
    });
    cluster.service.faults().clear();
    let ended = run.end().await;
    assert_eq!(ended.code, Some(0), "{ended}");
    cluster.assert_seeded(&stores).await;
    server.process.stop().await;
    stop(workers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_and_retry_work_while_rabbitmq_is_away() {
    let rabbitmq = Arc::new(RabbitMq::start());
    let mut cluster = Cluster::on(rabbitmq.clone(), None).await;
    cluster.program.set("BROKER__CONNECT_TIMEOUT", "1s");
    Serving::prepare(&mut cluster.program);
    cluster.add_stores(3, 5);
    let refused = Fault::Error {
        status: 403,
        code: "PSYNC_S2305",
    };
    cluster.service.faults().always_for("store-1", refused);
    let workers = cluster.start_workers(1);
    let failed = cluster.run(&["--store", "store-1"]).await;
    assert_eq!(failed.code, Some(1), "{failed}");
    stop(workers).await;
    cluster.service.faults().clear();
    let listed = cluster
        .run(&[
            "--no-wait",
            "--json",
            "--store",
            "store-2",
            "--store",
            "store-3",
        ])
        .await;
    let run_id = listed.objects()[0]["run_id"].as_str().unwrap().to_owned();
    tokio::task::block_in_place(|| rabbitmq.stop());

    let ended = cluster.program.run(&["cancel", &run_id, "--json"]).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    let cancelled = &ended.objects()[0];
    assert_eq!(cancelled["cancelled"], 2, "{ended}");
    assert!(cancelled["messages_left"].is_string(), "{ended}");
    let ended = cluster.program.run(&["retry", "--no-wait"]).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    assert!(ended.error.contains("1 store starts over"), "{ended}");
    assert!(ended.error.contains("published when"), "{ended}");

    let server = Serving::start(&cluster.program, &SERVE).await;
    tokio::task::block_in_place(|| rabbitmq.resume());
    // Only the retried job is left.
    until_waiting(&cluster, 1).await;
    let workers = cluster.start_workers(1);
    let catalog = cluster.catalog().await;
    wait::until("all runs end", async || {
        let runs = catalog.runs(10).await.unwrap();
        let states: Vec<_> = runs.iter().map(|run| run.state).collect();
        states == [RunState::Completed, RunState::Cancelled, RunState::Failed]
    })
    .await;
    catalog.close().await;
    for (store, streams) in [("store-1", 1), ("store-2", 0), ("store-3", 0)] {
        assert_eq!(cluster.service.metrics().store(store).streams, streams);
    }
    server.process.stop().await;
    stop(workers).await;
}

/// Takes all consumers of `seed.jobs` out of RabbitMQ's books without a word to them, as happens to one that subscribes in the
/// moment in which the queue is deleted.
fn forget_consumers(rabbitmq: &RabbitMq, vhost: &str) {
    let forget = format!(
        r#"{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"{vhost}">>, queue, <<"seed.jobs">>)),
        [ra:process_command(amqqueue:get_pid(Q),
                            rabbit_fifo:make_checkout({{element(2, C), element(1, C)}}, cancel, #{{}}))
         || C <- rabbit_amqqueue:consumers(Q)]."#
    );
    rabbitmq.ctl(&["eval", &forget]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_rabbitmq_has_forgotten_subscribes_again() {
    let rabbitmq = Arc::new(RabbitMq::start());
    let mut cluster = Cluster::on(rabbitmq.clone(), None).await;
    // Until a job is lost, and waits for longer than this test.
    cluster.program.set("BROKER__LOST_AFTER", "1h");
    let stores = cluster.add_stores(5, 5);
    let mut worker = cluster.program.start_worker();
    let broker = cluster.broker().await;
    let consumers = async || broker.consumers(Queue::Jobs).await.unwrap();
    wait::until("the worker takes jobs", async || consumers().await == 1).await;
    forget_consumers(&rabbitmq, vhost(&cluster));
    assert_eq!(consumers().await, 0);
    broker.close().await;

    let ended = cluster.run(&[]).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    cluster.assert_seeded(&stores).await;
    let told = |worker: &testkit::program::Process| worker.error().contains("subscribing again");
    worker.until("it says so", told).await;
    worker.stop().await;
}
