//! What the bucket cache saves, and what it costs where nothing is shared: `cargo bench -p seedbed-tests --bench
//! shared_buckets`.
//!
//! The same stores are seeded with the cache and without it, in turns, by a new worker each time, two jobs at a
//! time; where they share buckets also with a cache that has no room to prepare databases with them, so that each store's
//! rows are written anew. `SEEDBED_BENCH_STORES`, `SEEDBED_BENCH_ROWS` (the shared ones; a tenth of it where a
//! store has its own) and `SEEDBED_BENCH_ROUNDS` set other numbers, `SEEDBED_BENCH_FLEETS=shared` leaves other fleets out.
//! What the steps of each way's jobs took is printed below.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::Context;
use seedbed_protocol::manifest::StepTiming;
use testkit::{
    machine::{cpu_time, machine, number},
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

    /// What is measured of it, in turns: the first to be compared with.
    fn ways(self) -> &'static [Way] {
        match self {
            Self::Own | Self::OwnByOtherNames => &[Way::Off, Way::On],
            Self::Shared => &[Way::Off, Way::On, Way::LinesAlone],
        }
    }

    fn distinct(self, stores: u32, rows: u32) -> u64 {
        let (stores, rows, own) = (u64::from(stores), u64::from(rows), u64::from(OWN));
        match self {
            Self::Own | Self::OwnByOtherNames => stores * rows,
            Self::Shared => rows + stores * own,
        }
    }
}

/// What a worker does with what stores share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// It downloads it for each store.
    Off,
    /// What it does by default.
    On,
    /// It downloads it once, and prepares no database with it.
    LinesAlone,
}

/// So many generated rows have lines of about 1 MiB.
const ROWS_A_MIB: u32 = 1_750;

impl Way {
    /// Returns how much a worker keeps, in MiB; a half of it may be prepared databases. `None` for no cache.
    fn keeps_mib(self, rows: u32) -> Option<u32> {
        match self {
            Self::Off => None,
            Self::On => Some(1024),
            Self::LinesAlone => Some(rows.div_ceil(ROWS_A_MIB) * 5 / 4 + 1),
        }
    }
}

/// How many stores of how many rows.
struct Size {
    fleet: Fleet,
    stores: u32,
    rows: u32,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let stores = number("SEEDBED_BENCH_STORES", 40);
    let rows = number("SEEDBED_BENCH_ROWS", 20_000);
    let rounds = number("SEEDBED_BENCH_ROUNDS", 5);
    let size = |fleet, stores, rows| Size {
        fleet,
        stores,
        rows,
    };
    let sizes = [
        size(Fleet::Own, stores, rows / 10),
        size(Fleet::OwnByOtherNames, stores, rows / 10),
        size(Fleet::OwnByOtherNames, 1, rows),
        size(Fleet::Shared, stores, rows),
    ];
    println!(
        "with the cache / without: medians of {rounds} rounds in turn, and the least and most of a round; {}",
        machine()
    );
    println!(
        "{:>18} {:>6} {:>7} {:>10} {:>6} {:>14} {:>12} {:>6} {:>14} {:>21}",
        "fleet",
        "stores",
        "rows",
        "without s",
        "time",
        "spread",
        "ms a store",
        "CPU",
        "spread",
        "operations / distinct"
    );
    let fleets = std::env::var("SEEDBED_BENCH_FLEETS").unwrap_or_default();
    let is_wanted = |name| fleets.is_empty() || fleets.split(';').any(|fleet| fleet == name);
    for size in sizes
        .into_iter()
        .filter(|size| is_wanted(size.fleet.name()))
    {
        measure(&size, rounds).await?;
    }
    println!("aims: 1.00 without anything shared; at most 1.1 operations a distinct one");
    Ok(())
}

/// Seeds the fleet in each way, in turns, and prints what became of that.
async fn measure(size: &Size, rounds: u32) -> anyhow::Result<()> {
    let Size {
        fleet,
        stores,
        rows,
    } = *size;
    let service = fleet.service(stores, rows).await?;
    let ways = fleet.ways();
    let mut sweeps: Vec<Vec<Sweep>> = ways.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds as usize {
        for turn in 0..ways.len() {
            let way = (round + turn) % ways.len();
            let keeps = ways[way].keeps_mib(rows);
            sweeps[way].push(sweep(&service, stores, keeps).await?);
        }
    }
    let of = |way: Way| {
        ways.iter()
            .position(|is| *is == way)
            .map(|place| &sweeps[place])
    };
    let pairs = [
        (fleet.name(), Way::On, Way::Off),
        ("no template", Way::LinesAlone, Way::Off),
        ("template to none", Way::On, Way::LinesAlone),
    ];
    for (name, with, without) in pairs {
        let (Some(with), Some(without)) = (of(with), of(without)) else {
            continue;
        };
        let (seconds, time, time_spread) = compare(with, without, |sweep| sweep.seconds);
        let (cpu_seconds, cpu, cpu_spread) = compare(with, without, |sweep| sweep.cpu);
        let a_store = cpu_seconds * 1000.0 / f64::from(stores);
        let fetched = with.iter().map(|sweep| sweep.operations).max();
        println!(
            "{name:>18} {stores:>6} {rows:>7} {seconds:>10.2} {time:>6.2} {time_spread:>14} {a_store:>12.1} {cpu:>6.2} {cpu_spread:>14} {:>21.3}",
            fetched.unwrap_or_default() as f64 / fleet.distinct(stores, rows) as f64
        );
    }
    for (way, sweeps) in ways.iter().zip(&sweeps) {
        let mut steps: BTreeMap<&str, u64> = BTreeMap::new();
        for step in sweeps.iter().flat_map(|sweep| &sweep.steps) {
            *steps.entry(&step.step).or_default() += step.millis;
        }
        let jobs = u64::from(stores) * u64::from(rounds);
        let steps = steps.iter();
        let steps: Vec<_> = steps
            .map(|(step, ms)| format!("{step} {}", ms / jobs))
            .collect();
        println!("  {way:?}, ms of a job: {}", steps.join(", "));
    }
    Ok(())
}

/// Returns the median of a figure without, that with to it, and the least and the most of a round.
fn compare(with: &[Sweep], without: &[Sweep], of: fn(&Sweep) -> f64) -> (f64, f64, String) {
    let rounds = with.iter().zip(without);
    let mut rounds: Vec<f64> = rounds.map(|(a, b)| of(a) / of(b)).collect();
    rounds.sort_by(f64::total_cmp);
    let middle = median(with.iter().map(of)) / median(without.iter().map(of));
    let spread = format!("{:.2} to {:.2}", rounds[0], rounds[rounds.len() - 1]);
    (median(without.iter().map(of)), middle, spread)
}

/// What a sweep took.
struct Sweep {
    seconds: f64,
    /// Of the worker and of the stand-in, which does the same work in both.
    cpu: f64,
    /// That were fetched.
    operations: u64,
    /// Of all jobs.
    steps: Vec<StepTiming>,
}

/// Seeds all stores in a new worker, whose bucket cache keeps so much.
async fn sweep(service: &PowerSync, stores: u32, keeps_mib: Option<u32>) -> anyhow::Result<Sweep> {
    let mut pipeline = Pipeline::start_with(service, |settings| {
        settings.buckets.enabled = keeps_mib.is_some();
        settings.buckets.worker_mib = keeps_mib.unwrap_or(1);
        settings.buckets.prepare_from = 50_000;
        settings.snapshots.renditions.truncate(1);
        settings.verify.forms_every = 0;
    })
    .await;
    pipeline.patience = Duration::from_secs(600);
    let stores: Vec<_> = (1..=stores).map(|store| store.to_string()).collect();
    let (started, cpu) = (Instant::now(), cpu_time());
    let manifests = pipeline.seed_all(&stores).await;
    let manifests = manifests.map_err(|failure| anyhow::anyhow!(failure.message))?;
    Ok(Sweep {
        seconds: started.elapsed().as_secs_f64(),
        cpu: (cpu_time() - cpu).as_secs_f64(),
        operations: manifests.iter().map(|m| m.download.operations).sum(),
        steps: manifests.into_iter().flat_map(|m| m.steps).collect(),
    })
}

fn median(of: impl Iterator<Item = f64>) -> f64 {
    let mut of: Vec<f64> = of.collect();
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}
