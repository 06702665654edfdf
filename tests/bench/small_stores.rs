//! What many small stores cost: `cargo bench -p seedbed-tests --bench small_stores`.
//!
//! A worker in this process seeds 1,000 stores of 1,000 rows each from the stand-in service, which runs in another
//! process, with one slot and then with two: all jobs wait when it starts, and connections are kept. A script with
//! an SDK does the same one after the other, but verifies and uploads nothing. The ratios are to the script, measured in the same
//! run. `SEEDBED_BENCH_STORES` and `SEEDBED_BENCH_ROWS` set other numbers.

mod peer;

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use seedbed_protocol::message::Failure;
use seedbed_worker::settings::{StreamCompression, WorkerSettings};
use testkit::{
    machine::{cpu_time, forget_peak, machine, mib, number, peak_bytes},
    pipeline::{Access, Pipeline, as_shipped, settings},
    stand_in::StandIn,
};

/// What seeding all stores took.
struct Measured {
    wall: Duration,
    cpu: Duration,
    peak_bytes: u64,
}

impl Measured {
    fn since(started: Instant, cpu: Duration) -> Self {
        Self {
            wall: started.elapsed(),
            cpu: cpu_time() - cpu,
            peak_bytes: peak_bytes(),
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let count = number("SEEDBED_BENCH_STORES", 1_000);
    let rows = number("SEEDBED_BENCH_ROWS", 1_000);
    let stores: Vec<String> = (1..=count)
        .map(|number| format!("small-{number}"))
        .collect();
    let service = StandIn::start(stores.iter().map(|store| (&**store, rows)));
    println!("{count} stores of {rows} rows, {}", machine());
    println!(
        "{:>10} {:>8} {:>9} {:>12} {:>12} {:>13} {:>10}",
        "way", "s", "stores/s", "CPU ms/store", "peak MiB", "stores/s /SDK", "CPU /SDK"
    );
    let script = script(service.access(), &stores).await?;
    let one_slot = worker(service.access(), &stores, rows, 1).await?;
    let two_slots = worker(service.access(), &stores, rows, 2).await?;
    for (way, measured) in [
        ("SDK's way", &script),
        ("1 slot", &one_slot),
        ("2 slots", &two_slots),
    ] {
        let wall = measured.wall.as_secs_f64();
        println!(
            "{way:>10} {wall:>8.2} {:>9.1} {:>12.2} {:>12.0} {:>13.2} {:>10.2}",
            f64::from(count) / wall,
            measured.cpu.as_secs_f64() * 1_000.0 / f64::from(count),
            mib(measured.peak_bytes),
            script.wall.as_secs_f64() / wall,
            measured.cpu.as_secs_f64() / script.cpu.as_secs_f64(),
        );
    }
    Ok(())
}

fn change(settings: &mut WorkerSettings) {
    as_shipped(settings);
    settings.worker.cache_mib = 128;
    settings.worker.load_memory_mib = 128;
    settings.powersync.compression = StreamCompression::Zstd;
}

/// Gives a worker all stores at once, after one that is not measured.
async fn worker(
    service: Access,
    stores: &[String],
    rows: u32,
    slots: u16,
) -> anyhow::Result<Measured> {
    let mut pipeline = Pipeline::start_with(service, |settings| {
        change(settings);
        settings.worker.slots = Some(slots);
    })
    .await;
    let first = stores.first().context("there is a store")?;
    let failed = |failure: Failure| anyhow::anyhow!(failure.message);
    pipeline.seed(first).await.map_err(failed)?;

    forget_peak();
    let (started, cpu) = (Instant::now(), cpu_time());
    let manifests = pipeline.seed_all(stores).await.map_err(failed)?;
    let measured = Measured::since(started, cpu);
    for manifest in manifests {
        let (store, found) = (&manifest.store_id, manifest.rows());
        ensure!(
            found == u64::from(rows),
            "{store} has {found} of {rows} rows"
        );
    }
    Ok(measured)
}

/// Seeds them as a script with an SDK would, after one that is not measured.
async fn script(service: Access, stores: &[String]) -> anyhow::Result<Measured> {
    let directory = tempfile::tempdir()?;
    let mut settings = settings(service, &directory);
    change(&mut settings);
    let seed = async |store: &str, file: &str| {
        let work = tempfile::tempdir_in(directory.path())?;
        peer::seed(&settings, store, work.path(), &directory.path().join(file)).await
    };
    seed(stores.first().context("there is a store")?, "first.sqlite").await?;
    forget_peak();
    let (started, cpu) = (Instant::now(), cpu_time());
    for store in stores {
        seed(store, &format!("{store}.sqlite")).await?;
    }
    Ok(Measured::since(started, cpu))
}
