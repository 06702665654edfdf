//! Everything goes wrong, again and again, while sweeps go on; after one quiet minute every store has exactly one good
//! snapshot and nothing else is left.
//!
//! `SEEDBED_STORM_STORES` and `SEEDBED_STORM_FAULTS` make it as large as one likes; the default, each kind once, takes a minute or two.

mod faults;
mod report;
mod world;

use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng, rngs::StdRng};
use seedbed_protocol::{StoreId, broker::Queue};
use testkit::{
    cluster::{Cluster, RUN},
    program::{Ended, stop},
};
use tokio::time::sleep;

use faults::FaultKind;
use report::Report;
use world::World;

/// What is left alone heals within this time.
const QUIET: Duration = Duration::from_secs(120);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(200);

#[tokio::test(flavor = "multi_thread")]
async fn every_store_ends_with_one_good_snapshot_whatever_breaks() {
    let stores = number("SEEDBED_STORM_STORES", 60);
    let faults = number("SEEDBED_STORM_FAULTS", 10);
    let started = Instant::now();
    let mut world = World::start(stores).await;
    let report = rage(&mut world, faults).await;
    let quiet = quiet_down(&mut world).await;
    assert_everything_is_right(&world).await;
    let World {
        cluster,
        workers,
        servers,
        revivals,
        ..
    } = world;
    stop(servers).await;
    stop(workers).await;
    assert_no_work_directory_is_left(&cluster);
    println!(
        "{stores} stores, {faults} faults in {:.0?}, {} failed requests to the object store, {} streams; all was quiet after {:.1?}; RabbitMQ ended {} times by itself\n{report}",
        started.elapsed(),
        cluster.objects.as_ref().map_or(0, |o| o.faults.failed()),
        cluster.service.metrics().total.streams,
        quiet,
        revivals.into_inner(),
    );
}

/// Breaks something, repairs it, and waits until jobs end again: `faults` times, each kind at least once if there are enough.
async fn rage(world: &mut World, faults: usize) -> Report {
    let mut dice = StdRng::seed_from_u64(7);
    let mut report = Report::default();
    for fault in 0..faults {
        let kind = FaultKind::ALL.get(fault).copied();
        let kind = kind.unwrap_or_else(|| FaultKind::drawn(&mut dice));
        world.change_rows(&mut dice);
        sleep(Duration::from_millis(dice.random_range(0..500))).await;
        kind.strike(world, &mut dice).await;
        let (before, repaired) = (world.ended_jobs().await, Instant::now());
        while world.ended_jobs().await <= before {
            assert!(
                repaired.elapsed() < QUIET,
                "no job ends after {kind:?}:\n{}",
                world.describe().await
            );
            sleep(PAUSE).await;
        }
        report.healed(kind, repaired.elapsed());
    }
    report
}

/// Nothing breaks and no sweep starts any more: how long it takes until nothing is in flight.
async fn quiet_down(world: &mut World) -> Duration {
    world.calm().await;
    let started = Instant::now();
    let catalog = world.cluster.catalog().await;
    loop {
        world.revive_rabbitmq();
        let jobs = catalog.jobs_in_flight(100).await.unwrap();
        let runs = catalog.runs(10_000).await.unwrap();
        let unfinished = runs.iter().filter(|run| run.finished_at.is_none());
        let (unfinished, waiting) = (unfinished.count(), waiting_messages(&world.cluster).await);
        if jobs.is_empty() && unfinished == 0 && waiting == 0 {
            break;
        }
        assert!(
            started.elapsed() < QUIET,
            "still busy, with {waiting} messages:\n{}",
            world.describe().await
        );
        sleep(PAUSE).await;
    }
    started.elapsed()
}

/// A sweep brings the newest rows to every store, with no help before it: one verified snapshot each, and no other object.
async fn assert_everything_is_right(world: &World) {
    let cluster = &world.cluster;
    assert_succeeded(&cluster.program.run(&RUN).await);
    assert_eq!(waiting_messages(cluster).await, 0);
    let catalog = cluster.catalog().await;
    for store in &world.stores {
        let store_id = StoreId::new(store.as_str()).unwrap();
        let live = catalog.live_snapshot(&store_id).await.unwrap();
        cluster
            .assert_rows(&live.expect("it is seeded").manifest)
            .await;
    }
    let everything = world.stores.len().to_string();
    let verify = ["verify", "--sample", &everything];
    assert_succeeded(&cluster.program.run(&verify).await);
    cluster
        .assert_only_live_snapshots_survive(world.stores.len())
        .await;
}

/// Messages in all queues but that of heartbeats, which go on as long as there are workers.
async fn waiting_messages(cluster: &Cluster) -> u64 {
    let broker = cluster.broker().await;
    let mut waiting = 0;
    for queue in Queue::ALL.into_iter().filter(|q| *q != Queue::Workers) {
        waiting += broker.waiting(queue).await.unwrap();
    }
    broker.close().await;
    waiting
}

#[track_caller]
fn assert_succeeded(ended: &Ended) {
    assert_eq!(ended.code, Some(0), "{ended}");
}

fn assert_no_work_directory_is_left(cluster: &Cluster) {
    let work = cluster.program.path("seedbed-data/work");
    let left: Vec<_> = std::fs::read_dir(work).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

/// A number from the environment.
fn number(variable: &str, default: usize) -> usize {
    let number = std::env::var(variable);
    number.map_or(default, |number| number.parse().expect(variable))
}
