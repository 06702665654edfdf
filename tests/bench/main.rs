//! What a full seed costs: `cargo bench -p seedbed-tests --bench seed`.
//!
//! For each size and each way of making the file, a process of its own seeds one store from the stand-in
//! service, which runs in another process, and then runs `VACUUM INTO` on the finished file: the floor under
//! any way of making it. The multiple is of times measured in the same run, so that it means the same on a slow
//! machine. `SEEDBED_BENCH_SIZES=1000,5000` seeds other sizes.

mod peer;

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use rusqlite::Connection;
use rustix::time::{ClockId, clock_gettime};
use seedbed_worker::config::{StreamCompression, WorkerSettings};
use serde::{Deserialize, Serialize};
use testkit::pipeline::{Access, Pipeline, settings};

const SIZES: [u32; 3] = [1_000, 100_000, 500_000];

/// Sizes to seed instead of [`SIZES`].
const OTHER_SIZES: &str = "SEEDBED_BENCH_SIZES";

/// Set in the process that seeds: the store to seed.
const STORE: &str = "SEEDBED_BENCH_STORE";

/// Set in the process that seeds: how.
const WAY: &str = "SEEDBED_BENCH_WAY";

/// Set in the process that seeds: how often.
const TIMES: &str = "SEEDBED_BENCH_TIMES";

/// Set in the process that seeds: where the stand-in is, as it printed it.
const SERVICE: &str = "SEEDBED_BENCH_SERVICE";

/// A way of making a store's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Way {
    /// A worker with `worker.fast_load = true`.
    FastLoad,
    /// A worker with `worker.fast_load = false`.
    CoreExtension,
    /// A script with an SDK; it verifies and uploads nothing.
    Peer,
}

impl Way {
    const ALL: [Self; 3] = [Self::FastLoad, Self::CoreExtension, Self::Peer];

    fn name(self) -> &'static str {
        match self {
            Self::FastLoad => "fast load",
            Self::CoreExtension => "core",
            Self::Peer => "SDK's way",
        }
    }
}

/// What a seed took; a mean, if there were several.
#[derive(Debug, Default, Serialize, Deserialize)]
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

fn sizes() -> anyhow::Result<Vec<u32>> {
    match std::env::var(OTHER_SIZES) {
        Ok(sizes) => sizes
            .split(',')
            .map(|size| size.trim().parse().context(OTHER_SIZES))
            .collect(),
        Err(_) => Ok(SIZES.to_vec()),
    }
}

fn compare() -> anyhow::Result<()> {
    println!("{}", machine());
    println!(
        "{:>8} {:>9} {:>9} {:>8} {:>9} {:>9} {:>9} {:>9} {:>9} {:>8} {:>9}",
        "rows",
        "way",
        "file MiB",
        "seed s",
        "rows/s",
        "waiting s",
        "CPU s",
        "peak MiB",
        "VACUUM s",
        "multiple",
        "CPU/peer"
    );
    for rows in sizes()? {
        let store = format!("bench-{rows}");
        let service = StandIn::start(&store, rows)?;
        let times = (10_000 / rows).clamp(1, 20);
        let mut measured = Vec::new();
        for way in Way::ALL {
            let output = Command::new(std::env::current_exe()?)
                .env(STORE, &store)
                .env(WAY, serde_json::to_string(&way)?)
                .env(TIMES, times.to_string())
                .env(SERVICE, &service.access)
                .stderr(Stdio::inherit())
                .output()?;
            ensure!(output.status.success(), "seeding {rows} rows failed");
            let seeded: Measured = serde_json::from_slice(&output.stdout)?;
            ensure!(
                seeded.rows == u64::from(rows),
                "{rows} rows became {}",
                seeded.rows
            );
            measured.push((way, seeded));
        }
        let peer_cpu = measured.last().map_or(Duration::ZERO, |(_, peer)| peer.cpu);
        for (way, measured) in &measured {
            print(*way, measured, peer_cpu);
        }
    }
    Ok(())
}

fn print(way: Way, m: &Measured, peer_cpu: Duration) {
    let own = m.seed.saturating_sub(m.waited);
    println!(
        "{:>8} {:>9} {:>9.1} {:>9.3} {:>8.0} {:>9.3} {:>9.3} {:>9.0} {:>9.3} {:>8.1} {:>9.2}",
        m.rows,
        way.name(),
        mib(m.file_bytes),
        m.seed.as_secs_f64(),
        m.rows as f64 / m.seed.as_secs_f64(),
        m.waited.as_secs_f64(),
        m.cpu.as_secs_f64(),
        mib(m.peak_bytes),
        m.vacuum.as_secs_f64(),
        own.as_secs_f64() / m.vacuum.as_secs_f64(),
        m.cpu.as_secs_f64() / peer_cpu.as_secs_f64(),
    );
    let steps: Vec<_> = m
        .steps
        .iter()
        .map(|(step, millis)| format!("{step} {millis} ms"))
        .collect();
    if !steps.is_empty() {
        println!("         {}", steps.join(", "));
    }
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Seeds one store in this process, after a first time that is not measured if there are several.
#[tokio::main]
async fn measure(store: &str) -> anyhow::Result<Measured> {
    let service: Access = serde_json::from_str(&std::env::var(SERVICE)?)?;
    let way: Way = serde_json::from_str(&std::env::var(WAY)?)?;
    let times: u32 = std::env::var(TIMES)?.parse()?;
    let mut total = match way {
        Way::FastLoad => worker(service, store, times, true).await?,
        Way::CoreExtension => worker(service, store, times, false).await?,
        Way::Peer => script(service, store, times).await?,
    };
    for duration in [&mut total.seed, &mut total.waited, &mut total.cpu] {
        *duration /= times;
    }
    Ok(total)
}

fn change(settings: &mut WorkerSettings) {
    settings.worker.cache_mib = 128;
    settings.worker.load_memory_mib = 128;
    settings.powersync.compression = StreamCompression::Zstd;
}

async fn worker(
    service: Access,
    store: &str,
    times: u32,
    fast_load: bool,
) -> anyhow::Result<Measured> {
    let mut pipeline = Pipeline::start_with(service, |settings| {
        change(settings);
        settings.worker.fast_load = fast_load;
    })
    .await;
    let mut measured = Measured::default();
    let mut file = None;
    for time in 0..=times {
        if time == 0 && times == 1 {
            continue;
        }
        let (cpu, started) = (cpu_time(), Instant::now());
        let manifest = pipeline
            .seed(store)
            .await
            .map_err(|failure| anyhow::anyhow!(failure.message))?;
        if time > 0 {
            measured.seed += started.elapsed();
            measured.cpu += cpu_time() - cpu;
            measured.waited += Duration::from_millis(manifest.download.waited_millis);
        }
        measured.rows = manifest.rows();
        file = Some(pipeline.file(&manifest));
        measured.steps = manifest
            .steps
            .into_iter()
            .map(|step| (step.step, step.millis))
            .collect();
    }
    measured.peak_bytes = peak_bytes()?;
    let file = file.context("it was seeded")?;
    vacuum(&file, pipeline.directory.path(), &mut measured)?;
    Ok(measured)
}

async fn script(service: Access, store: &str, times: u32) -> anyhow::Result<Measured> {
    let directory = tempfile::tempdir()?;
    let mut settings = settings(service, &directory);
    change(&mut settings);
    let mut measured = Measured::default();
    let file = directory.path().join("snapshot.sqlite");
    for time in 0..=times {
        if time == 0 && times == 1 {
            continue;
        }
        let _ = std::fs::remove_file(&file);
        let (cpu, started) = (cpu_time(), Instant::now());
        let work = tempfile::tempdir_in(directory.path())?;
        let waited = peer::seed(&settings, store, work.path(), &file).await?;
        if time > 0 {
            measured.seed += started.elapsed();
            measured.cpu += cpu_time() - cpu;
            measured.waited += waited;
        }
    }
    measured.peak_bytes = peak_bytes()?;
    let rows = "SELECT count(*) FROM ps_data__products";
    measured.rows = Connection::open(&file)?.query_row(rows, [], |row| row.get(0))?;
    vacuum(&file, directory.path(), &mut measured)?;
    Ok(measured)
}

/// Measures `VACUUM INTO` on the finished file.
fn vacuum(file: &Path, directory: &Path, measured: &mut Measured) -> anyhow::Result<()> {
    measured.file_bytes = std::fs::metadata(file)?.len();
    let connection = Connection::open(file)?;
    let copy = directory.join("copy.sqlite");
    let started = Instant::now();
    connection.execute("VACUUM INTO ?1", [copy.to_string_lossy()])?;
    measured.vacuum = started.elapsed();
    Ok(())
}

/// User and system time of this process.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        time.tv_nsec.unsigned_abs() as u32,
    )
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
