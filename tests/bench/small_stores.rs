//! What many small stores cost: `cargo bench -p seedbed-tests --bench small_stores`.
//!
//! A worker in this process seeds 1,000 stores of 1,000 rows each from the stand-in service, which runs in another
//! process, with one slot and then with two: all jobs wait when it starts, and connections are kept. A script with
//! an SDK does the same one after the other, but verifies and uploads nothing. The ratios are to the script, measured in the same
//! run. `SEEDBED_BENCH_STORES` and `SEEDBED_BENCH_ROWS` set other numbers.

mod peer;

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use seedbed_protocol::message::{EventKind, Failure};
use seedbed_worker::config::{StreamCompression, WorkerSettings};
use serde_json::json;
use testkit::{
    pipeline::{Access, Pipeline, job, settings},
    stand_in::StandIn,
    usage::{cpu_time, machine, mib, peak_bytes, resident_bytes},
};

/// What seeding all stores took.
struct Measured {
    wall: Duration,
    cpu: Duration,
    resident_bytes: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let count = size("SEEDBED_BENCH_STORES", 1_000)?;
    let rows = size("SEEDBED_BENCH_ROWS", 1_000)?;
    let stores: Vec<String> = (1..=count)
        .map(|number| format!("small-{number}"))
        .collect();
    let service = StandIn::start(
        env!("CARGO_BIN_EXE_powersync-stand-in"),
        stores.iter().map(|store| (&**store, rows)),
    );
    println!("{count} stores of {rows} rows, {}", machine());
    println!(
        "{:>10} {:>8} {:>9} {:>12} {:>12} {:>13} {:>10}",
        "way", "s", "stores/s", "CPU ms/store", "resident MiB", "stores/s /SDK", "CPU /SDK"
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
            mib(measured.resident_bytes),
            script.wall.as_secs_f64() / wall,
            measured.cpu.as_secs_f64() / script.cpu.as_secs_f64(),
        );
    }
    println!("peak memory of all: {:.0} MiB", mib(peak_bytes()));
    Ok(())
}

fn size(variable: &str, default: u32) -> anyhow::Result<u32> {
    match std::env::var(variable) {
        Ok(text) => text.parse().with_context(|| format!("{variable}={text}")),
        Err(_) => Ok(default),
    }
}

fn change(settings: &mut WorkerSettings) {
    settings.worker.cache_mib = 128;
    settings.worker.load_memory_mib = 128;
    settings.worker.job_deadline = Duration::from_secs(3_600);
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

    let (started, cpu) = (Instant::now(), cpu_time());
    for store in stores {
        let mut job = job(store, json!({ "store_id": store }), Vec::new());
        job.deadline += Duration::from_secs(3_600);
        pipeline.publish(&job).await;
    }
    let mut seeded = 0;
    while seeded < stores.len() {
        let event = pipeline.next_event().await;
        match event.kind {
            EventKind::Started { .. } => {}
            EventKind::Completed { manifest } => {
                ensure!(
                    manifest.rows() == u64::from(rows),
                    "{} has {} rows instead of {rows}",
                    event.store_id,
                    manifest.rows()
                );
                seeded += 1;
            }
            other => bail!("{}: {other:?}", event.store_id),
        }
    }
    Ok(Measured {
        wall: started.elapsed(),
        cpu: cpu_time() - cpu,
        resident_bytes: resident_bytes(),
    })
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
    let (started, cpu) = (Instant::now(), cpu_time());
    for store in stores {
        seed(store, &format!("{store}.sqlite")).await?;
    }
    Ok(Measured {
        wall: started.elapsed(),
        cpu: cpu_time() - cpu,
        resident_bytes: resident_bytes(),
    })
}
