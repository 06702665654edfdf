//! What the bucket cache saves, and what it costs where nothing is shared: `cargo bench -p seedbed-tests --bench
//! shared_buckets`.
//!
//! The same stores are seeded with the cache and without it, in turns, by a new worker each time; the ratios are of medians
//! of one run. `SEEDBED_BENCH_STORES`, `SEEDBED_BENCH_ROWS` (of each store, or shared) and `SEEDBED_BENCH_ROUNDS` set other numbers.

use std::time::{Duration, Instant};

use anyhow::Context;
use testkit::{
    machine::machine,
    pipeline::Pipeline,
    powersync::{PowerSync, Source, StreamDefinition, SyncConfig},
};

/// Rows of each store's own, where the rest is shared.
const OWN: u32 = 100;

#[derive(Clone, Copy)]
enum Fleet {
    /// Every store has its own rows, by its id.
    Own,
    /// The same, by a claim that does not look like a store's.
    OwnByOtherNames,
    /// Every store has the same rows, and a few of its own.
    Shared,
}

impl Fleet {
    fn name(self) -> &'static str {
        match self {
            Self::Own => "own buckets",
            Self::OwnByOtherNames => "own, not by id",
            Self::Shared => "shared",
        }
    }

    async fn service(self, stores: u32, rows: u32) -> anyhow::Result<PowerSync> {
        let own = || StreamDefinition::new("own", "products");
        let by_id = || own().parameter("store_id", Source::claim("store_id"));
        let shared = StreamDefinition::new("shared", "products");
        let streams = match self {
            Self::Own => vec![by_id()],
            Self::OwnByOtherNames => {
                let lookup = Source::lookup("names", "name");
                let name = lookup.matching("store", Source::claim("store_id"));
                vec![own().parameter("store_id", name)]
            }
            Self::Shared => vec![shared.filter(|row| row["store_id"] == "shared"), by_id()],
        };
        let builder = PowerSync::builder().config(SyncConfig::streams(streams));
        let service = builder.start().await.context("the stand-in")?;
        let own = match self {
            Self::Shared => {
                service.add_generated_store("shared", rows, 1);
                OWN
            }
            Self::Own | Self::OwnByOtherNames => rows,
        };
        for store in 1..=stores {
            let name = match self {
                Self::OwnByOtherNames => format!("name-{store}"),
                Self::Own | Self::Shared => store.to_string(),
            };
            service.put("names", serde_json::json!({ "id": store.to_string(), "store": store.to_string(), "name": name }));
            service.add_generated_store(&name, own, u64::from(store));
        }
        Ok(service)
    }

    fn distinct(self, stores: u32, rows: u32) -> u64 {
        let (stores, rows, own) = (u64::from(stores), u64::from(rows), u64::from(OWN));
        match self {
            Self::Own | Self::OwnByOtherNames => stores * rows,
            Self::Shared => rows + stores * own,
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let stores = number("SEEDBED_BENCH_STORES", 40)?;
    let rows = number("SEEDBED_BENCH_ROWS", 20_000)?;
    let rounds = number("SEEDBED_BENCH_ROUNDS", 3)?;
    println!(
        "{stores} stores, {rows} rows, medians of {rounds} rounds, {}",
        machine()
    );
    println!(
        "{:>15} {:>9} {:>9} {:>9} {:>22}",
        "fleet", "without s", "with s", "with/without", "operations / distinct"
    );
    for fleet in [Fleet::Own, Fleet::OwnByOtherNames, Fleet::Shared] {
        let service = fleet.service(stores, rows).await?;
        let (mut without, mut with, mut fetched) = (Vec::new(), Vec::new(), 0);
        for _ in 0..rounds {
            without.push(sweep(&service, stores, false).await?.0);
            let (took, operations) = sweep(&service, stores, true).await?;
            with.push(took);
            fetched = fetched.max(operations);
        }
        let (without, with) = (median(without), median(with));
        println!(
            "{:>15} {without:>9.2} {with:>9.2} {:>9.2} {:>22.3}",
            fleet.name(),
            with / without,
            fetched as f64 / fleet.distinct(stores, rows) as f64
        );
    }
    println!("aims: 1.00 without anything shared; at most 1.1 operations a distinct one");
    Ok(())
}

/// Seeds all stores in a new worker; returns the seconds, and the operations that were fetched.
async fn sweep(service: &PowerSync, stores: u32, cached: bool) -> anyhow::Result<(f64, u64)> {
    let mut pipeline = Pipeline::start_with(service, |settings| {
        settings.buckets.enabled = cached;
        settings.buckets.worker_mib = 1024;
        settings.snapshots.renditions.truncate(1);
        settings.verify.forms_every = 0;
    })
    .await;
    pipeline.patience = Duration::from_secs(600);
    let stores: Vec<_> = (1..=stores).map(|store| store.to_string()).collect();
    let started = Instant::now();
    let manifests = pipeline.seed_all(&stores).await;
    let manifests = manifests.map_err(|failure| anyhow::anyhow!(failure.message))?;
    let took = started.elapsed().as_secs_f64();
    Ok((took, manifests.iter().map(|m| m.download.operations).sum()))
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

fn number(variable: &str, default: u32) -> anyhow::Result<u32> {
    match std::env::var(variable) {
        Ok(text) => text.parse().with_context(|| format!("{variable}={text}")),
        Err(_) => Ok(default),
    }
}
