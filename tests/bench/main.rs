//! What a full seed costs: `cargo bench -p seedbed-tests --bench seed`.
//!
//! For each size, a process of its own seeds one store from the stand-in service, which runs in another
//! process, and then runs `VACUUM INTO` on the finished file: the floor under any way of making it. The
//! multiple is of times measured in the same run, so that it means the same on a slow machine.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use testkit::pipeline::{Access, Pipeline};

const SIZES: [u32; 3] = [1_000, 100_000, 500_000];

/// Set in the process that seeds: the store to seed.
const STORE: &str = "SEEDBED_BENCH_STORE";

/// Set in the process that seeds: where the stand-in is, as it printed it.
const SERVICE: &str = "SEEDBED_BENCH_SERVICE";

/// What one seed took.
#[derive(Debug, Serialize, Deserialize)]
struct Measured {
    rows: u64,
    file_bytes: u64,
    seed: Duration,
    waited: Duration,
    vacuum: Duration,
    cpu: Duration,
    peak_bytes: u64,
    steps: Vec<(String, u64)>,
}

fn main() -> anyhow::Result<()> {
    match std::env::var(STORE) {
        Ok(store) => println!("{}", serde_json::to_string(&measure(&store)?)?),
        Err(_) => compare()?,
    }
    Ok(())
}

fn compare() -> anyhow::Result<()> {
    println!("{}", machine());
    println!(
        "{:>8} {:>9} {:>9} {:>8} {:>9} {:>9} {:>9} {:>11} {:>8}",
        "rows",
        "file MiB",
        "seed s",
        "rows/s",
        "waiting s",
        "CPU s",
        "peak MiB",
        "VACUUM s",
        "multiple"
    );
    for rows in SIZES {
        let store = format!("bench-{rows}");
        let service = StandIn::start(&store, rows)?;
        let output = Command::new(std::env::current_exe()?)
            .env(STORE, &store)
            .env(SERVICE, &service.access)
            .stderr(Stdio::inherit())
            .output()?;
        ensure!(output.status.success(), "seeding {rows} rows failed");
        let measured: Measured = serde_json::from_slice(&output.stdout)?;
        ensure!(
            measured.rows == u64::from(rows),
            "{rows} rows became {}",
            measured.rows
        );
        print(&measured);
    }
    Ok(())
}

fn print(m: &Measured) {
    let own = m.seed.saturating_sub(m.waited);
    println!(
        "{:>8} {:>9.1} {:>9.2} {:>8.0} {:>9.2} {:>9.2} {:>9.0} {:>11.3} {:>8.1}",
        m.rows,
        mib(m.file_bytes),
        m.seed.as_secs_f64(),
        m.rows as f64 / m.seed.as_secs_f64(),
        m.waited.as_secs_f64(),
        m.cpu.as_secs_f64(),
        mib(m.peak_bytes),
        m.vacuum.as_secs_f64(),
        own.as_secs_f64() / m.vacuum.as_secs_f64(),
    );
    let steps: Vec<_> = m
        .steps
        .iter()
        .map(|(step, millis)| format!("{step} {millis} ms"))
        .collect();
    println!("         {}", steps.join(", "));
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Seeds one store in this process.
#[tokio::main]
async fn measure(store: &str) -> anyhow::Result<Measured> {
    let service: Access = serde_json::from_str(&std::env::var(SERVICE)?)?;
    let mut pipeline = Pipeline::start_with(service, |settings| {
        settings.worker.cache_mib = 128;
        settings.powersync.compression = seedbed_worker::config::StreamCompression::Zstd;
    })
    .await;
    let before = cpu_time()?;
    let started = Instant::now();
    let manifest = pipeline
        .seed(store)
        .await
        .map_err(|failure| anyhow::anyhow!(failure.message))?;
    let seed = started.elapsed();
    let cpu = cpu_time()? - before;
    let peak_bytes = peak_bytes()?;

    let connection = Connection::open(pipeline.file(&manifest))?;
    let copy = pipeline.directory.path().join("copy.sqlite");
    let started = Instant::now();
    connection.execute("VACUUM INTO ?1", [copy.to_string_lossy()])?;
    let vacuum = started.elapsed();
    Ok(Measured {
        rows: manifest.rows(),
        file_bytes: manifest.bytes(),
        seed,
        waited: Duration::from_millis(manifest.download.waited_millis),
        vacuum,
        cpu,
        peak_bytes,
        steps: manifest
            .steps
            .into_iter()
            .map(|step| (step.step, step.millis))
            .collect(),
    })
}

/// User and system time of this process, from `/proc/self/stat`, in the kernel's ticks of 10 ms.
fn cpu_time() -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat
        .rsplit_once(')')
        .context("/proc/self/stat has a name in parentheses")?
        .1;
    // The state follows the name as field 3; utime and stime are fields 14 and 15.
    let ticks = after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse::<u64>);
    Ok(Duration::from_millis(10 * ticks.sum::<Result<u64, _>>()?))
}

/// The most memory that this process ever had resident.
fn peak_bytes() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .context("VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

fn machine() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown CPU", |model| {
        model.trim_start_matches([' ', '\t', ':'])
    });
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{cores} cores of {model}")
}

/// The stand-in service in a process of its own; ended when this is dropped.
struct StandIn {
    process: Child,
    access: String,
}

impl StandIn {
    fn start(store: &str, rows: u32) -> anyhow::Result<Self> {
        let mut process = Command::new(env!("CARGO_BIN_EXE_powersync-stand-in"))
            .arg("--store-rows")
            .arg(format!("{store}={rows}"))
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = process
            .stdout
            .take()
            .context("the stand-in has a standard output")?;
        let mut access = String::new();
        BufReader::new(stdout).read_line(&mut access)?;
        Ok(Self { process, access })
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
