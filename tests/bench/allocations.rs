//! How often a seed allocates: `cargo bench -p seedbed-tests --bench allocations`.
//!
//! Counts the allocations of everything that is Rust in this process while a worker seeds one store, from the token to the last
//! event, once loading it in bulk and once with the core extension; SQLite has its own allocator. The stand-in service runs in
//! another process. Two sizes tell apart what a seed allocates in any case and what it does for a row: `per row` is the
//! difference between them over their difference in rows.

use std::alloc::System;

use anyhow::ensure;
use seedbed_worker::settings::{StreamCompression, WorkerSettings};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, Stats, StatsAlloc};
use testkit::{machine::mib, pipeline::Pipeline, stand_in::StandIn};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const FEW: u32 = 10_000;
const MANY: u32 = 100_000;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    println!(
        "{:>9} {:>14} {:>14} {:>9} {:>11} {:>16}",
        "way",
        format!("at {FEW}"),
        format!("at {MANY}"),
        "per row",
        "bytes /row",
        "MiB at the end"
    );
    for (way, fast_load) in [("fast load", true), ("core", false)] {
        let few = seed(FEW, fast_load).await?;
        let many = seed(MANY, fast_load).await?;
        let rows = f64::from(MANY - FEW);
        let per_row = |few: usize, many: usize| (many as f64 - few as f64) / rows;
        println!(
            "{way:>9} {:>14} {:>14} {:>9.3} {:>11.1} {:>16.1}",
            count(&few),
            count(&many),
            per_row(count(&few), count(&many)),
            per_row(few.bytes_allocated, many.bytes_allocated),
            mib(many
                .bytes_allocated
                .saturating_sub(many.bytes_deallocated)
                .try_into()?),
        );
    }
    Ok(())
}

fn count(stats: &Stats) -> usize {
    stats.allocations + stats.reallocations
}

/// What one seed allocates, after a first one.
async fn seed(rows: u32, fast_load: bool) -> anyhow::Result<Stats> {
    let service = StandIn::start([("counted", rows)]);
    let change = |settings: &mut WorkerSettings| {
        settings.worker.fast_load = fast_load;
        settings.worker.load_memory_mib = 128;
        settings.powersync.compression = StreamCompression::Zstd;
    };
    let mut pipeline = Pipeline::start_with(service.access(), change).await;
    let mut stats = Stats::default();
    for _ in 0..2 {
        let region = Region::new(ALLOCATOR);
        let manifest = pipeline.seed("counted").await;
        let manifest = manifest.map_err(|failure| anyhow::anyhow!(failure.message))?;
        stats = region.change();
        ensure!(manifest.rows() == u64::from(rows), "{rows} rows are there");
    }
    Ok(stats)
}
