//! Whether anybody takes jobs is never a secret: workers say that they are there, and jobs that nobody takes are told.

use serde_json::{Value, json};
use testkit::{
    cluster::{Cluster, RUN},
    program::stop,
    serving::{SERVE, Serving},
    wait,
};

async fn overview(server: &Serving) -> Value {
    server.admin("/api/overview").await.json()
}

async fn until(server: &Serving, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    wait::for_some(what, async || {
        Some(overview(server).await).filter(|overview| holds(overview))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_no_worker_takes_are_told_everywhere_until_one_does() {
    let cluster = Cluster::start().await;
    let stores = cluster.add_stores(3, 5);
    let told = "3 jobs are waiting and no worker takes any";
    let mut run = cluster.program.start(&RUN);
    run.until("it says so", |run| run.error().contains(told))
        .await;
    let shown = cluster.status().await;
    assert_eq!(
        (&shown["untaken"], &shown["workers"]),
        (&json!(3), &json!([]))
    );
    let shown = cluster.program.run(&["status"]).await;
    assert!(shown.output.contains(told), "{shown}");
    let workers = cluster.start_workers(1);
    let ended = run.end().await;
    assert_eq!(ended.code, Some(0), "{ended}");
    cluster.assert_seeded(&stores).await;
    let shown = cluster.status().await;
    assert_eq!(
        (&shown["untaken"], &shown["queue"]["consumers"]),
        (&json!(0), &json!(1))
    );
    stop(workers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_coordinator_knows_the_workers_and_one_that_dies_vanishes() {
    let mut cluster = Cluster::start().await;
    Serving::prepare(&mut cluster.program);
    cluster.program.set("WORKER__HEARTBEAT", "200ms");
    cluster.add_stores(1, 5);
    let servers = [
        Serving::start(&cluster.program, &SERVE).await,
        Serving::start(&cluster.program, &SERVE).await,
    ];
    let mut workers = cluster.start_workers(2);
    for server in &servers {
        let shown = until(server, "both are there", |shown| {
            shown["workers"]["count"] == 2
        })
        .await;
        assert_eq!(shown["workers"]["slots"], 4);
        let listed = server.admin("/api/workers").await.json();
        for worker in listed["workers"].as_array().unwrap() {
            assert_eq!(worker["version"], env!("CARGO_PKG_VERSION"), "{worker}");
            assert_eq!((&worker["slots"], &worker["busy"]), (&json!(2), &json!(0)));
        }
    }
    let shown = cluster.status().await;
    assert_eq!(shown["workers"].as_array().unwrap().len(), 2, "{shown}");
    workers.pop().unwrap().kill().await;
    until(&servers[0], "the killed one is gone", |shown| {
        shown["workers"]["count"] == 1
    })
    .await;
    stop(workers).await;
    until(&servers[1], "the other has left", |shown| {
        shown["workers"]["count"] == 0
    })
    .await;
    let ended = cluster.run(&["--no-wait"]).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    until(&servers[1], "nobody takes the job", |shown| {
        shown["untaken"] == 1
    })
    .await;
    let measured = [
        "seedbed_jobs_untaken",
        "seedbed_workers",
        "seedbed_workers_slots",
    ];
    wait::until("all of it is measured", async || {
        let metrics = String::from_utf8(servers[0].admin("/metrics").await.body).unwrap();
        measured.iter().all(|name| metrics.contains(name))
    })
    .await;
    for server in servers {
        server.process.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_knows_the_workers_although_no_coordinator_was_there() {
    let mut cluster = Cluster::start().await;
    cluster.program.set("WORKER__HEARTBEAT", "1s");
    let catalog = cluster.catalog().await;
    let workers = cluster.start_workers(1);
    wait::until("status shows it", async || {
        cluster.status().await["workers"].as_array().unwrap().len() == 1
    })
    .await;
    let known = catalog.workers().await.unwrap();
    assert_eq!((known[0].slots, known[0].busy), (2, 0));
    catalog.close().await;
    stop(workers).await;
}
