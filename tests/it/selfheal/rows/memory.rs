//! The memory of a worker is bounded by its settings, whatever the rows.

use std::time::Duration;

use testkit::program::Program;

use super::huge::{Rows, Service};

/// Seeds one store with one slot; returns the most memory that the program had resident, in MiB.
async fn peak(rows: Rows, format: &str) -> u64 {
    let service = Service::start(rows).await;
    let mut program = Program::new(service.access.clone());
    program.set("WORKER__SLOTS", "1");
    program.set("WORKER__LOAD_MEMORY_MIB", "16");
    program.set("POWERSYNC__FORMAT", format);
    program.set("POWERSYNC__COMPRESSION", "none");
    program.write("stores.csv", "store_id\n1\n");
    let mut process = program.start(&["local", "--json", "--stores", "stores.csv"]);
    let mut peak = 0;
    while process.is_running() {
        peak = peak.max(process.peak_memory().unwrap_or_default());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let ended = process.end().await;
    assert_eq!(ended.code, Some(0), "{ended}");
    peak / 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn probe_memory() {
    let get = |name: &str, or: &str| std::env::var(name).unwrap_or(or.to_owned());
    let rows = Rows {
        count: get("N", "20").parse().unwrap(),
        bytes: get("MIB", "60").parse::<usize>().unwrap() << 20,
        filler: get("FILL", "x").chars().next().unwrap(),
    };
    let started = std::time::Instant::now();
    let peak = peak(rows, &get("FORMAT", "auto")).await;
    eprintln!("PEAK {peak} MiB in {:?}", started.elapsed());
}
