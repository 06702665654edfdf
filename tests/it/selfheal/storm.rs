//! Everything goes wrong at once, again and again, and at the end every store has exactly one good snapshot.
//!
//! `SEEDBED_STORM_STORES=1000` makes it as large as one likes; the default takes one or two minutes.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::TryStreamExt;
use rand::{Rng, SeedableRng, rngs::StdRng};
use seedbed::catalog::Catalog;
use seedbed_protocol::{StoreId, broker::Queue};
use testkit::{
    cluster::Cluster,
    objects::ObjectServer,
    powersync::Fault,
    program::{Ended, Process, stop},
    servers::RabbitMq,
};

const WORKERS: usize = 4;

/// Rows of each store: enough for several lines of data.
const ROWS: u32 = 200;

/// One request in so many fails, one stream in so many breaks off.
const ONE_IN: u64 = 20;

/// What the storm did.
#[derive(Debug, Default)]
struct Damage {
    workers_killed: u32,
    coordinators_killed: u32,
    rabbitmq_restarts: u32,
    retries: u32,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_store_ends_with_one_good_snapshot_whatever_breaks() {
    let stores = std::env::var("SEEDBED_STORM_STORES");
    let stores = stores.map_or(300, |stores| stores.parse().expect("a number of stores"));
    let started = Instant::now();
    let mut storm = Storm::start(stores).await;
    storm.rage().await;
    storm.calm().await;
    let Storm {
        cluster,
        stores,
        damage,
        workers,
        ..
    } = storm;

    let catalog = cluster.catalog().await;
    assert!(catalog.jobs_in_flight(1).await.unwrap().is_empty());
    assert_queues_are_empty(&cluster).await;
    for store in &stores {
        let store_id = StoreId::new(store.as_str()).unwrap();
        let live = catalog.live_snapshot(&store_id).await.unwrap();
        cluster
            .assert_rows(&live.expect("it is seeded").manifest)
            .await;
    }
    let everything = stores.len().to_string();
    let verify = ["verify", "--sample", &everything];
    assert_succeeded(&cluster.program.run(&verify).await);
    cluster
        .assert_only_live_snapshots_survive(stores.len())
        .await;
    stop(workers).await;
    assert_no_work_directory_is_left(&cluster);
    println!(
        "{} stores in {:.0?}: {damage:?}, {} failed requests to the object store, {} streams for the stores",
        stores.len(),
        started.elapsed(),
        cluster.objects.as_ref().map_or(0, |o| o.faults.failed()),
        cluster.service.metrics().total.streams,
    );
}

struct Storm {
    cluster: Cluster,
    stores: Vec<String>,
    workers: Vec<Process>,
    damage: Damage,
    dice: StdRng,
}

impl Storm {
    async fn start(stores: usize) -> Self {
        let objects = ObjectServer::s3().await;
        objects.faults.fail_one_in(ONE_IN);
        let rabbitmq = Arc::new(RabbitMq::start());
        let mut cluster = Cluster::on(rabbitmq, Some(objects)).await;
        cluster.program.set("RETENTION__KEEP", "1");
        cluster.program.set("RETENTION__MIN_AGE", "0s");
        cluster.program.set("RETENTION__ORPHAN_AGE", "0s");
        let stores = cluster.add_stores(stores, ROWS);
        let cut = Fault::CutAfter { bytes: 4_000 };
        let faults = cluster.service.faults();
        faults.with_probability(1.0 / ONE_IN as f64, cut);
        let workers = cluster.start_workers(WORKERS);
        Self {
            cluster,
            stores,
            workers,
            damage: Damage::default(),
            dice: StdRng::seed_from_u64(7),
        }
    }

    /// Runs, and keeps killing workers and coordinators, until every job has ended.
    async fn rage(&mut self) {
        let catalog = self.cluster.catalog().await;
        let mut run = self.run();
        loop {
            let pause = self.dice.random_range(300..1_500);
            tokio::time::sleep(Duration::from_millis(pause)).await;
            if !run.is_running() {
                return;
            }
            match self.dice.random_range(0..5) {
                0 => {
                    run.kill().await;
                    self.damage.coordinators_killed += 1;
                    run = self.run();
                }
                _ => self.kill_a_worker().await,
            }
            if self.damage.rabbitmq_restarts == 0
                && self.seeded(&catalog).await > self.stores.len() / 3
            {
                self.cluster.rabbitmq.restart();
                self.damage.rabbitmq_restarts += 1;
            }
        }
    }

    fn run(&self) -> Process {
        self.cluster.program.start(&[
            "run",
            "--stores",
            "stores.ndjson",
            "--only-older-than",
            "1h",
        ])
    }

    async fn kill_a_worker(&mut self) {
        let victim = self.dice.random_range(0..WORKERS);
        let successor = self.cluster.program.start_worker();
        let victim = std::mem::replace(&mut self.workers[victim], successor);
        victim.kill().await;
        self.damage.workers_killed += 1;
    }

    async fn seeded(&self, catalog: &Catalog) -> usize {
        let live: Vec<_> = catalog.snapshots(None, false).try_collect().await.unwrap();
        live.len()
    }

    /// No more kills: failed jobs are retried, and all of them succeed.
    async fn calm(&mut self) {
        // The worker that was killed last may have left its directory.
        let successor = self.cluster.program.start_worker();
        let predecessor = std::mem::replace(&mut self.workers[0], successor);
        stop(vec![predecessor]).await;
        self.cluster.service.faults().clear();
        if let Some(objects) = &self.cluster.objects {
            objects.faults.fail_one_in(0);
        }
        assert_ended(&self.run().end().await);
        let failed = self.cluster.program.run(&["retry", "--json"]).await;
        let line = &failed.objects()[0];
        self.damage.retries = line["jobs"].as_u64().unwrap() as u32;
        assert_succeeded(&failed);
    }
}

#[track_caller]
fn assert_succeeded(ended: &Ended) {
    assert_eq!(ended.code, Some(0), "{ended}");
}

/// With every store seeded, or with some that failed.
#[track_caller]
fn assert_ended(ended: &Ended) {
    assert!(matches!(ended.code, Some(0 | 1)), "{ended}");
    assert!(!ended.error.contains("error:"), "{ended}");
}

async fn assert_queues_are_empty(cluster: &Cluster) {
    let broker = cluster.broker().await;
    // Heartbeats go on as long as there are workers.
    for queue in Queue::ALL.into_iter().filter(|q| *q != Queue::Workers) {
        assert_eq!(broker.waiting(queue).await.unwrap(), 0, "{queue}");
    }
    broker.close().await;
}

fn assert_no_work_directory_is_left(cluster: &Cluster) {
    let work = cluster.program.path("seedbed-data/work");
    let left: Vec<_> = std::fs::read_dir(work).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}
