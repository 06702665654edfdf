//! `seedbed run` and its workers, as programs of their own on a real RabbitMQ and a real Postgres.

use std::time::Duration;

use seedbed_protocol::{
    RunId,
    broker::{Queue, RETURN_LIMIT},
};
use serde_json::json;
use testkit::{
    cluster::{Cluster, RUN},
    powersync::Fault,
    program::{Process, stop},
    wait,
};

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_seed_every_store_of_a_run() {
    let cluster = Cluster::start().await;
    let stores = cluster.add_stores(30, 20);
    let workers = cluster.start_workers(2);
    let ended = cluster.run(&["--json"]).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    let summary = ended.objects().pop().unwrap();
    assert_eq!(summary["type"], "summary");
    assert_eq!(
        (&summary["stores"], &summary["seeded"]),
        (&json!(30), &json!(30))
    );
    cluster.assert_seeded(&stores).await;
    let verified = cluster.program.run(&["verify", "--sample", "30"]).await;
    assert_eq!(verified.code, Some(0), "{verified}");
    assert!(
        verified.output.contains("30 of 30 are good"),
        "{}",
        verified.output
    );
    stop(workers).await;
    assert!(
        !cluster.program.path("seedbed-data/work").exists()
            || std::fs::read_dir(cluster.program.path("seedbed-data/work"))
                .unwrap()
                .next()
                .is_none(),
        "no work directory is left"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_workers_reported_to_nobody_counts_before_the_next_run_decides() {
    let cluster = Cluster::start().await;
    let stores = cluster.add_stores(20, 5);
    let run = cluster.run(&["--no-wait"]).await;
    assert_eq!(run.code, Some(0), "{run}");
    let workers = cluster.start_workers(1);
    let broker = cluster.broker().await;
    // Started and completed.
    let reported = async || {
        let waiting = broker.waiting(Queue::Events).await;
        waiting.unwrap() >= 40
    };
    wait::until("all events are reported", reported).await;
    stop(workers).await;
    let next = cluster.run(&["--only-older-than", "1h"]).await;
    assert_eq!(next.code, Some(0), "{next}");
    assert!(next.error.contains("no store needs a new job"), "{next}");
    cluster.assert_seeded(&stores).await;
    assert_eq!(cluster.status().await["runs"][0]["state"], "completed");
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_that_start_together_seed_each_store_once() {
    let cluster = Cluster::start().await;
    let stores = cluster.add_stores(40, 10);
    let runs: Vec<Process> = (0..3).map(|_| cluster.program.start(&RUN)).collect();
    // All three have listed before the first job can end.
    let catalog = cluster.catalog().await;
    for run in &runs {
        let listed = async || run.error().contains("stores");
        wait::until("the stores are listed", listed).await;
    }
    let workers = cluster.start_workers(2);
    for run in runs {
        let ended = run.end().await;
        assert_eq!(ended.code, Some(0), "{ended}");
    }
    for store in &stores {
        assert_eq!(
            cluster.service.metrics().store(store).streams,
            1,
            "{store} was seeded once"
        );
    }
    assert_eq!(catalog.runs(10).await.unwrap().len(), 1);
    cluster.assert_seeded(&stores).await;
    stop(workers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_killed_while_it_published_is_taken_over() {
    let cluster = Cluster::start().await;
    let stores = cluster.add_stores(3_000, 1);
    let broker = cluster.broker().await;
    let first = cluster.program.start(&RUN);
    while broker.waiting(Queue::Jobs).await.unwrap_or_default() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(first.kill().await, "it was still running");
    let catalog = cluster.catalog().await;
    let run = catalog.runs(1).await.unwrap().remove(0);
    let unpublished = catalog.listed_jobs(run.run_id, None, i64::MAX).await;
    let unpublished = unpublished.unwrap().len();
    assert!(unpublished > 0, "it was killed before its end");
    wait::until("the lease of the killed one has run out", async || {
        let runs = catalog.unpublished_runs().await;
        !runs.unwrap().is_empty()
    })
    .await;
    let ended = cluster.run(&["--no-wait"]).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    assert!(
        ended
            .error
            .contains("3,000 stores are being seeded already"),
        "{ended}"
    );
    let left = catalog.listed_jobs(run.run_id, None, i64::MAX).await;
    assert!(left.unwrap().is_empty(), "all of it is published");
    let waiting = broker.waiting(Queue::Jobs).await.unwrap() as usize;
    // At most the page that was on its way when it was killed is there twice.
    assert!(
        (stores.len()..=stores.len() + 512).contains(&waiting),
        "{waiting}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_kills_its_workers_is_parked_and_seeded_after_a_retry() {
    let cluster = Cluster::start().await;
    let stores = cluster.add_stores(1, 50);
    let stall = Fault::StallAfter { bytes: 200 };
    cluster.service.faults().always_for("store-1", stall);
    let broker = cluster.broker().await;
    let run = cluster.program.start(&RUN);
    for _ in 0..=RETURN_LIMIT {
        let before = cluster.service.metrics().total.streams;
        let worker = cluster.program.start_worker();
        let is_parked = wait::for_some("the job is taken or parked", async || {
            let is_parked = broker.waiting(Queue::ParkedJobs).await.unwrap() > 0;
            let is_taken = cluster.service.metrics().total.streams > before;
            (is_parked || is_taken).then_some(is_parked)
        });
        if is_parked.await {
            stop(vec![worker]).await;
            break;
        }
        worker.kill().await;
    }
    let ended = run.end().await;
    assert_eq!(ended.code, Some(1), "{ended}");
    assert!(ended.error.contains("none came to an end"), "{ended}");
    let shown = cluster.status().await;
    assert_eq!(shown["runs"][0]["failed"], 1);
    assert_eq!(shown["parked"]["jobs"], 1);

    cluster.service.faults().clear();
    let workers = cluster.start_workers(1);
    let ended = cluster.program.run(&["retry"]).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    cluster.assert_seeded(&stores).await;
    let shown = cluster.status().await;
    assert_eq!(shown["runs"][0]["state"], "completed");
    assert_eq!(shown["parked"]["jobs"], 0);
    stop(workers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_starts_nothing_more() {
    let cluster = Cluster::start().await;
    cluster.add_stores(600, 1);
    let ended = cluster.run(&["--no-wait", "--json"]).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    let run_id = ended.objects()[0]["run_id"].as_str().unwrap().to_owned();
    let ended = cluster.program.run(&["cancel", &run_id, "--json"]).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    assert_eq!(
        ended.objects(),
        [json!({"cancelled": 600, "going_on": 0})],
        "{ended}"
    );
    assert_eq!(cluster.status().await["runs"][0]["state"], "cancelled");
    let broker = cluster.broker().await;
    assert_eq!(broker.waiting(Queue::Jobs).await.unwrap(), 0);

    let again = cluster.program.run(&["cancel", &run_id]).await;
    assert_eq!(
        again.code,
        Some(0),
        "a cancellation that was cut off goes on: {again}"
    );
    let unknown = RunId::new().to_string();
    let unknown = cluster.program.run(&["cancel", &unknown]).await;
    assert_eq!(unknown.code, Some(2), "{unknown}");
    assert!(unknown.error.contains("no run"), "{unknown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_may_be_for_some_stores_only() {
    let cluster = Cluster::start().await;
    cluster.add_stores(6, 5);
    let workers = cluster.start_workers(1);
    let run = async |more: &[&str]| {
        let ended = cluster.run(more).await;
        assert_eq!(ended.code, Some(0), "{ended}");
        ended.error
    };
    run(&["--store", "store-2", "--store", "store-5"]).await;
    run(&["--limit", "1"]).await;
    for (store, streams) in [
        ("store-1", 1),
        ("store-2", 1),
        ("store-3", 0),
        ("store-5", 1),
    ] {
        assert_eq!(cluster.service.metrics().store(store).streams, streams);
    }
    let told = run(&["--only-older-than", "1h"]).await;
    assert!(
        told.contains("3 stores have a snapshot that is young"),
        "{told}"
    );
    for store in 1..=6 {
        let store = format!("store-{store}");
        assert_eq!(cluster.service.metrics().store(&store).streams, 1);
    }
    let told = run(&["--only-older-than", "1h"]).await;
    assert!(told.contains("no store needs a new job"), "{told}");
    let missing = cluster.run(&["--store", "nobody"]).await;
    assert_eq!(missing.code, Some(2), "{missing}");
    assert!(missing.error.contains("no store \"nobody\""), "{missing}");
    stop(workers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_told_to_stop_finishes_its_job_and_one_that_is_told_twice_does_not() {
    let mut cluster = Cluster::start().await;
    let stores = cluster.add_stores(1, 20);
    cluster.program.set("WORKER__LISTEN", "127.0.0.1:0");
    cluster.program.set("LOG__LEVEL", "seedbed_worker=info");
    let stall = Fault::StallAfter { bytes: 200 };
    cluster.service.faults().push(stall);
    let run = cluster.program.start(&RUN);
    let mut worker = cluster.program.start_worker();
    cluster
        .service
        .wait_for(|metrics| metrics.total.open_streams == 1)
        .await;
    let probes = address_of(&worker.error());
    let probe = async |path: &str| {
        let answer = reqwest::get(format!("http://{probes}{path}"))
            .await
            .unwrap();
        answer.status().as_u16()
    };
    assert_eq!(
        (probe("/healthz").await, probe("/readyz").await),
        (200, 200)
    );
    worker.signal("TERM");
    worker
        .until("it notices", |worker| {
            worker.error().contains("taking no more")
        })
        .await;
    assert_eq!(
        (probe("/healthz").await, probe("/readyz").await),
        (200, 503)
    );
    worker.signal("TERM");
    assert_eq!(worker.end().await.code, Some(130));

    let workers = cluster.start_workers(1);
    let ended = run.end().await;
    assert_eq!(ended.code, Some(0), "{ended}");
    cluster.assert_seeded(&stores).await;
    stop(workers).await;
}

/// Where a worker says that it answers probes.
fn address_of(log: &str) -> String {
    let line = log.lines().find(|line| line.contains("answering probes"));
    let line: serde_json::Value = serde_json::from_str(line.unwrap()).unwrap();
    line["address"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_and_missing_parts_are_named_and_exit_with_2() {
    let mut cluster = Cluster::start().await;
    cluster.add_stores(1, 1);
    let good_broker = cluster.broker_url.clone();
    let good_catalog = cluster.catalog_url.clone();
    let port = good_catalog.rsplit(':').next().unwrap().to_owned();
    let port = port.split('/').next().unwrap().to_owned();
    for (setting, value, reason) in [
        (
            "BROKER__URL",
            good_broker.replace("guest:guest", "guest:hunter2"),
            "broker.url",
        ),
        (
            "BROKER__URL",
            format!("{good_broker}-missing"),
            "broker.url",
        ),
        (
            "CATALOG__URL",
            format!("postgres://postgres:hunter2@127.0.0.1:{port}/nowhere"),
            "create the database first",
        ),
        (
            "SNAPSHOTS__URL",
            "s3://key:hunter2@bucket".to_owned(),
            "snapshots.url",
        ),
    ] {
        cluster.program.set(setting, &value);
        let ended = if setting == "SNAPSHOTS__URL" {
            cluster.program.start_worker().end().await
        } else {
            cluster.run(&[]).await
        };
        assert_eq!(ended.code, Some(2), "{setting}={value}: {ended}");
        assert!(ended.error.contains(reason), "{setting}={value}: {ended}");
        assert!(!ended.error.contains("hunter2"), "{ended}");
        cluster.program.set("BROKER__URL", &good_broker);
        cluster.program.set("CATALOG__URL", &good_catalog);
    }
}
