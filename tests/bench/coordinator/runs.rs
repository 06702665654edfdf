//! What it takes to list, record and publish a run of many stores: `cargo bench -p seedbed-tests --bench runs`.
//!
//! Runs `seedbed run --no-wait` over lists of stores, each on a fresh database of a private Postgres and a fresh virtual
//! host of a private RabbitMQ. The ratio is of rates measured in the same run: 1.0 means that a store of a long list
//! costs what one of a short list does. `SEEDBED_BENCH_STORES=10000,1000000` takes other lengths.

use std::{
    fmt::Write as _,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, ensure};
use testkit::{
    machine::machine,
    program::seedbed,
    servers::{Postgres, RabbitMq},
};

const STORES: &str = "10000,100000";

/// How often a process is asked for its memory.
const LOOK: std::time::Duration = std::time::Duration::from_millis(20);

fn main() -> anyhow::Result<()> {
    let sizes = std::env::var("SEEDBED_BENCH_STORES").unwrap_or_else(|_| STORES.to_owned());
    let postgres = Postgres::start();
    let rabbitmq = RabbitMq::start();
    println!("{}", machine());
    println!(
        "{:>9} {:>8} {:>9} {:>9} {:>6}",
        "stores", "s", "stores/s", "peak MiB", "ratio"
    );
    let mut first = None;
    for size in sizes.split(',') {
        let stores: u32 = size.trim().parse().context("SEEDBED_BENCH_STORES")?;
        let (seconds, peak) = measure(stores, &postgres.database(), &rabbitmq.vhost())?;
        let rate = f64::from(stores) / seconds;
        let ratio = rate / *first.get_or_insert(rate);
        println!("{stores:>9} {seconds:>8.1} {rate:>9.0} {peak:>9.1} {ratio:>6.2}");
    }
    Ok(())
}

/// Lists, records and publishes so many stores. Returns the seconds that took, and the most memory of the process in MiB.
fn measure(stores: u32, catalog: &str, broker: &str) -> anyhow::Result<(f64, f64)> {
    let directory = tempfile::tempdir()?;
    let mut list = String::new();
    for number in 1..=stores {
        writeln!(
            list,
            "{{\"store_id\":\"store-{number}\",\"region\":\"eu-{}\"}}",
            number % 7
        )?;
    }
    std::fs::write(directory.path().join("stores.ndjson"), list)?;
    let started = Instant::now();
    let mut run = command(directory.path(), catalog, broker).spawn()?;
    let mut peak = 0.0;
    let status = loop {
        if let Some(status) = run.try_wait()? {
            break status;
        }
        peak = memory(run.id()).unwrap_or(peak);
        std::thread::sleep(LOOK);
    };
    let seconds = started.elapsed().as_secs_f64();
    ensure!(status.success(), "seedbed run ended with {status}");
    Ok((seconds, peak))
}

fn command(directory: &Path, catalog: &str, broker: &str) -> Command {
    let mut command = Command::new(seedbed());
    command
        .args(["run", "--stores", "stores.ndjson", "--no-wait", "--json"])
        .current_dir(directory)
        .stdout(Stdio::null())
        .env_remove("SEEDBED_BENCH_STORES")
        .env("SEEDBED_CATALOG__URL", catalog)
        .env("SEEDBED_BROKER__URL", broker)
        .env(
            "SEEDBED_SNAPSHOTS__URL",
            format!("file:{}", directory.join("s").display()),
        )
        .env("SEEDBED_POWERSYNC__ENDPOINT", "http://127.0.0.1:9");
    command
}

/// The most memory that a process has had, in MiB.
fn memory(process: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(peak.trim().trim_end_matches(" kB").parse::<f64>().ok()? / 1024.0)
}
