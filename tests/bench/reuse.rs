//! Cost of re-seeding stores that have a snapshot: `cargo bench -p seedbed-tests --bench reuse`.
//!
//! Sweeps over small stores of which none, some or all have changed, against the sweep that downloads every row; and one
//! large store with a few changed rows, from a service as fast as this machine and from one at the pace of PowerSync's. One worker
//! and the stand-in service share this process. The ratios are of figures measured in the same run. `SEEDBED_BENCH_STORES` and `SEEDBED_BENCH_ROWS` set how many small stores there are and how large
//! the large one is.

use std::time::{Duration, Instant};

use anyhow::ensure;
use seedbed_protocol::manifest::Manifest;
use seedbed_protocol::message::{EventKind, SeedJob};
use seedbed_worker::settings::WorkerSettings;
use serde_json::{Value, json};
use testkit::{
    machine::number,
    pipeline::{Pipeline, as_shipped, job, starting_from},
    powersync::{PowerSync, Products},
    stand_in::OPERATION_TIME,
};

const SEED: u64 = 1;

/// Rows of a small store.
const ROWS: u32 = 1_000;

/// Rows that change in a store that changes.
const CHANGED_ROWS: u32 = 10;

/// Rows that change in the large store.
const CHANGED_ROWS_OF_LARGE: u32 = 100;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let stores = number("SEEDBED_BENCH_STORES", 1_000);
    let rows = number("SEEDBED_BENCH_ROWS", 500_000);
    println!(
        "{stores} stores of {ROWS} rows, of which {CHANGED_ROWS} change in a store that changes"
    );
    sweeps(stores).await?;
    println!("one store of {rows} rows, of which {CHANGED_ROWS_OF_LARGE} change");
    large_store(rows, Duration::ZERO, "").await?;
    println!("the same, from a service that takes {OPERATION_TIME:?} for an operation");
    large_store(rows, OPERATION_TIME, "paced, ").await
}

/// What a sweep took.
struct Sweep {
    took: Duration,
    operations: u64,
    bytes: u64,
    unchanged: usize,
    /// The newest snapshot of each store.
    snapshots: Vec<Manifest>,
}

impl Sweep {
    fn print(&self, name: &str, full: &Self) {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        println!(
            "{name:>22} {:>8.2} {:>7.3} {:>10} {:>9.2} {:>8.5} {:>9}",
            self.took.as_secs_f64(),
            self.took.as_secs_f64() / full.took.as_secs_f64(),
            self.operations,
            mib(self.bytes),
            self.bytes as f64 / full.bytes as f64,
            self.unchanged
        );
    }
}

fn print_head() {
    println!(
        "{:>22} {:>8} {:>7} {:>10} {:>9} {:>8} {:>9}",
        "", "s", "ratio", "operations", "MiB", "ratio", "unchanged"
    );
}

async fn sweeps(count: u32) -> anyhow::Result<()> {
    let names: Vec<String> = (0..count).map(|store| format!("store-{store}")).collect();
    let service = PowerSync::builder().start().await?;
    for name in &names {
        service.add_generated_store(name, ROWS, SEED);
    }
    let mut pipeline = start(&service).await?;
    print_head();
    let full = sweep(&service, &mut pipeline, &names, None).await?;
    full.print("all rows", &full);
    print_steps(&full);
    let mut latest = full.snapshots.clone();
    for percent in [0, 5, 100] {
        let changed = names.len() * percent / 100;
        for name in &names[..changed] {
            change(&service, name, ROWS, CHANGED_ROWS)?;
        }
        let sweep = sweep(&service, &mut pipeline, &names, Some(&latest)).await?;
        ensure!(
            sweep.unchanged == names.len() - changed,
            "{}",
            sweep.unchanged
        );
        sweep.print(&format!("{percent} % changed"), &full);
        if percent == 100 {
            print_steps(&sweep);
        }
        latest = sweep.snapshots;
    }
    Ok(())
}

async fn large_store(rows: u32, operation_time: Duration, pace: &str) -> anyhow::Result<()> {
    let names = ["large".to_owned()];
    let builder = PowerSync::builder().operation_time(operation_time);
    let service = builder.start().await?;
    service.add_generated_store(&names[0], rows, SEED);
    let mut pipeline = start(&service).await?;
    print_head();
    let full = sweep(&service, &mut pipeline, &names, None).await?;
    full.print(&format!("{pace}all rows"), &full);
    print_steps(&full);
    change(&service, &names[0], rows, CHANGED_ROWS_OF_LARGE)?;
    let base = sweep(&service, &mut pipeline, &names, Some(&full.snapshots)).await?;
    base.print(&format!("{pace}from its base"), &full);
    print_steps(&base);
    let unchanged = sweep(&service, &mut pipeline, &names, Some(&base.snapshots)).await?;
    unchanged.print(&format!("{pace}unchanged"), &full);
    Ok(())
}

/// How long each step took, as a mean of all snapshots.
fn print_steps(sweep: &Sweep) {
    let mut steps: Vec<(&str, u64)> = Vec::new();
    for timing in sweep.snapshots.iter().flat_map(|snapshot| &snapshot.steps) {
        match steps.iter_mut().find(|(step, _)| *step == timing.step) {
            Some((_, millis)) => *millis += timing.millis,
            None => steps.push((&timing.step, timing.millis)),
        }
    }
    let count = sweep.snapshots.len() as f64;
    let steps = steps
        .iter()
        .map(|(step, millis)| format!("{step} {:.1} ms", *millis as f64 / count));
    println!("{:>22} {}", "", steps.collect::<Vec<_>>().join(", "));
}

/// Starts a worker that has seeded a small store, which is not measured: a worker compares the forms of its first job.
async fn start(service: &PowerSync) -> anyhow::Result<Pipeline> {
    let change = |settings: &mut WorkerSettings| {
        as_shipped(settings);
        settings.worker.load_memory_mib = 128;
        settings.verify.forms_every = 0;
        settings.worker.job_timeout = Duration::from_secs(3_600);
    };
    let warm_up = ["warm-up".to_owned()];
    service.add_generated_store(&warm_up[0], CHANGED_ROWS, SEED);
    let mut pipeline = Pipeline::start_with(service, change).await;
    sweep(service, &mut pipeline, &warm_up, None).await?;
    Ok(pipeline)
}

/// Seeds every store once, from its snapshot in `bases` if there are any.
async fn sweep(
    service: &PowerSync,
    pipeline: &mut Pipeline,
    names: &[String],
    bases: Option<&[Manifest]>,
) -> anyhow::Result<Sweep> {
    let mut jobs: Vec<SeedJob> = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let mut job = job(name, json!({ "store_id": name }), Vec::new());
        job.deadline += Duration::from_secs(3_600);
        jobs.push(match bases {
            Some(bases) => starting_from(&bases[index], job),
            None => job,
        });
    }
    let mut snapshots = bases.map(<[Manifest]>::to_vec).unwrap_or_default();
    let before = service.metrics().total;
    let started = Instant::now();
    let publisher = pipeline.publisher();
    let publishing = tokio::spawn(async move {
        for job in jobs {
            publisher.publish(&job).await;
        }
    });
    let (mut ended, mut unchanged) = (0, 0);
    while ended < names.len() {
        let event = pipeline.next_event().await;
        match event.kind {
            EventKind::Started { .. } => continue,
            EventKind::Unchanged { .. } => unchanged += 1,
            EventKind::Completed { manifest } => {
                let known = snapshots
                    .iter_mut()
                    .find(|s| s.store_id == manifest.store_id);
                match known {
                    Some(known) => *known = *manifest,
                    None => snapshots.push(*manifest),
                }
            }
            EventKind::Failed(failure) => anyhow::bail!("{failure:?}"),
        }
        ended += 1;
    }
    let took = started.elapsed();
    publishing.await?;
    snapshots.sort_by_key(|snapshot| {
        names
            .iter()
            .position(|name| *name == snapshot.store_id.as_str())
    });
    let after = service.metrics().total;
    Ok(Sweep {
        took,
        operations: after.operations - before.operations,
        bytes: after.bytes - before.bytes,
        unchanged,
        snapshots,
    })
}

/// Changes the first rows of a generated store.
fn change(service: &PowerSync, store: &str, rows: u32, changed: u32) -> anyhow::Result<()> {
    let products = Products::new(store, rows, SEED);
    service.write(|transaction| {
        for index in 0..changed {
            let mut json = String::new();
            products.write_json(index, &mut json);
            let mut row: Value = serde_json::from_str(&json)?;
            row["name"] = "renamed".into();
            transaction.put("products", row);
        }
        Ok(())
    })
}
