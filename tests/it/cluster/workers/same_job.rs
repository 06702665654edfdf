//! The same job with two workers at once, as a broker may hand it out after a loss.

use std::time::Duration;

use seedbed_protocol::broker::Queue;
use testkit::{cluster::Cluster, powersync::Fault, program::stop, wait};

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_with_the_same_job_leave_one_live_snapshot_and_nothing_else() {
    let mut cluster = Cluster::start().await;
    cluster.program.set("WORKER__SLOTS", "1");
    cluster.program.set("RETENTION__KEEP", "1");
    cluster.program.set("RETENTION__MIN_AGE", "0s");
    cluster.program.set("RETENTION__ORPHAN_AGE", "0s");
    let stores = cluster.add_stores(1, 50);
    let run = cluster.run(&["--no-wait"]).await;
    assert_eq!(run.code, Some(0), "{run}");

    let broker = cluster.broker().await;
    let mut jobs = broker.consume(Queue::Jobs, 1).await.unwrap();
    let job = jobs.next().await.expect("the broker is open");
    let again = job.message.clone();
    broker.publish(Queue::Jobs, again).await.unwrap();
    job.hand_back().await.unwrap();
    drop(jobs);
    // So late that neither ends before both have begun.
    let late = Fault::Delay(Duration::from_secs(3));
    cluster.service.faults().with_probability(1.0, late);
    let workers = cluster.start_workers(2);
    wait::until("both have started and completed", async || {
        broker.waiting(Queue::Events).await.unwrap() == 4
    })
    .await;
    assert_eq!(cluster.service.metrics().store("store-1").streams, 2);
    stop(workers).await;

    let next = cluster.run(&["--only-older-than", "1h"]).await;
    assert_eq!(next.code, Some(0), "{next}");
    assert!(next.error.contains("no store needs a new job"), "{next}");
    let status = cluster.status().await;
    let run = &status["runs"][0];
    assert_eq!((&run["seeded"], &run["failed"]), (&1.into(), &0.into()));
    cluster.assert_seeded(&stores).await;
    cluster
        .assert_only_live_snapshots_survive(stores.len())
        .await;
}
