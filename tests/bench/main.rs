//! What a full seed costs: `cargo bench -p seedbed-tests --bench seed`.
//!
//! For each size and each way of making the file, a process of its own seeds one store from the stand-in
//! service, which runs in another process, and then runs `VACUUM INTO` on the finished file: the floor under
//! any way of making it. The multiples are of times measured in the same run, so that they mean the same on a slow
//! machine: `multiple` is the wall time of the seed but for what it waited for the stream, verification included, and
//! `CPU /V` its CPU time, both as multiples of what `VACUUM INTO` took. `peak/file` is the peak memory over the size
//! of the file. `download` is the stream alone: what any way waits for; `/download` is the time of a seed as a multiple of it.
//!
//! The stand-in streams several times as fast as PowerSync's service, and shares the cores with the worker. So `paced` seeds from
//! one that takes 30 microseconds for each operation, as the service does, and `paced dl` is the stream alone at that pace.
//!
//! The first job of a process is a small one that is not measured: a worker compares the forms of its first job, and then of one
//! in a hundred.
//!
//! `SEEDBED_BENCH_SIZES=5000000` seeds other sizes, `SEEDBED_BENCH_WAYS=fast_load,core_extension` leaves the script
//! out, which takes many minutes for millions of rows.
//!
//! Long: a way, what is measured of it and its line of the table read best side by side.

mod peer;

use std::{
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use rusqlite::Connection;
use seedbed_worker::{
    oplog::{LineKind, ReadLine},
    powersync::{PowerSyncClient, TokenSigner},
    settings::{StreamCompression, WorkerSettings},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use testkit::{
    machine::{cpu_time, machine, mib, peak_bytes},
    pipeline::{Access, Pipeline, as_shipped, job, settings},
    stand_in::{OPERATION_TIME, StandIn},
};

const SIZES: [u32; 3] = [1_000, 100_000, 500_000];

/// Sizes to seed instead of [`SIZES`].
const OTHER_SIZES: &str = "SEEDBED_BENCH_SIZES";

const VACUUMS: usize = 3;

/// The store of the first job, which is not measured, and its rows.
const WARM_UP: (&str, u32) = ("warm-up", 100);

/// Ways to seed in instead of [`Way::ALL`].
const OTHER_WAYS: &str = "SEEDBED_BENCH_WAYS";

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
    /// The stream alone: every line is read, and nothing is made of it.
    Download,
    /// As [`Self::FastLoad`], at the pace of PowerSync's service.
    Paced,
    /// As [`Self::Download`], at that pace.
    PacedDownload,
}

impl Way {
    const ALL: [Self; 6] = [
        Self::FastLoad,
        Self::CoreExtension,
        Self::Peer,
        Self::Download,
        Self::Paced,
        Self::PacedDownload,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::FastLoad => "fast load",
            Self::CoreExtension => "core",
            Self::Peer => "SDK's way",
            Self::Download => "download",
            Self::Paced => "paced",
            Self::PacedDownload => "paced dl",
        }
    }

    fn is_paced(self) -> bool {
        matches!(self, Self::Paced | Self::PacedDownload)
    }

    /// The stream alone, for a way that is more than that.
    fn download(self) -> Option<Self> {
        match self {
            Self::Download | Self::PacedDownload => None,
            Self::Paced => Some(Self::PacedDownload),
            Self::FastLoad | Self::CoreExtension | Self::Peer => Some(Self::Download),
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
    cpu: Duration,
    vacuum: Duration,
    vacuum_cpu: Duration,
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

fn ways() -> anyhow::Result<Vec<Way>> {
    match std::env::var(OTHER_WAYS) {
        Ok(ways) => ways
            .split(',')
            .map(|way| serde_json::from_value(way.trim().into()).context(OTHER_WAYS))
            .collect(),
        Err(_) => Ok(Way::ALL.to_vec()),
    }
}

fn compare() -> anyhow::Result<()> {
    println!("{}", machine());
    println!(
        "{:>8} {:>9} {:>8} {:>8} {:>7} {:>9} {:>8} {:>8} {:>9} {:>8} {:>8} {:>6} {:>8} {:>9}",
        "rows",
        "way",
        "file MiB",
        "seed s",
        "rows/s",
        "waiting s",
        "CPU s",
        "peak MiB",
        "peak/file",
        "VACUUM s",
        "multiple",
        "CPU /V",
        "CPU /SDK",
        "/download"
    );
    for rows in sizes()? {
        let store = format!("bench-{rows}");
        let stores = [(&*store, rows), WARM_UP];
        let services = [
            StandIn::start(stores),
            StandIn::paced(stores, OPERATION_TIME),
        ];
        // A seed of a few rows is too short to be measured once.
        let times = (20_000 / rows).clamp(1, 20);
        let mut measured = Vec::new();
        for way in ways()? {
            let output = Command::new(std::env::current_exe()?)
                .env(STORE, &store)
                .env(WAY, serde_json::to_string(&way)?)
                .env(TIMES, times.to_string())
                .env(SERVICE, &services[usize::from(way.is_paced())].printed)
                .stderr(Stdio::inherit())
                .output()?;
            ensure!(output.status.success(), "seeding {rows} rows failed");
            let mut seeded: Measured = serde_json::from_slice(&output.stdout)?;
            if way.download().is_none() {
                seeded.rows = rows.into();
            }
            ensure!(
                seeded.rows == u64::from(rows),
                "{rows} rows became {}",
                seeded.rows
            );
            measured.push((way, seeded));
        }
        let script = measured.iter().find(|(way, _)| *way == Way::Peer);
        let script_cpu = script.map(|(_, script)| script.cpu);
        for (way, m) in &measured {
            let download = way.download().and_then(|download| {
                let mut ways = measured.iter();
                ways.find(|(way, _)| *way == download).map(|(_, m)| m.seed)
            });
            print(*way, m, script_cpu, download);
        }
    }
    Ok(())
}

fn print(way: Way, m: &Measured, script_cpu: Option<Duration>, download: Option<Duration>) {
    let own = m.seed.saturating_sub(m.waited);
    let ratio = |one: Duration, other: Duration| one.as_secs_f64() / other.as_secs_f64();
    let known = |one: Duration, other: Option<Duration>| {
        other.map_or("-".to_owned(), |other| format!("{:.2}", ratio(one, other)))
    };
    if way.download().is_none() {
        println!(
            "{:>8} {:>9} {:>8} {:>8.3} {:>7.0} {:>9.3} {:>8.4} {:>8.0}",
            m.rows,
            way.name(),
            "-",
            m.seed.as_secs_f64(),
            m.rows as f64 / m.seed.as_secs_f64(),
            m.waited.as_secs_f64(),
            m.cpu.as_secs_f64(),
            mib(m.peak_bytes),
        );
        return;
    }
    println!(
        "{:>8} {:>9} {:>8.1} {:>8.3} {:>7.0} {:>9.3} {:>8.4} {:>8.0} {:>9.2} {:>8.3} {:>8.1} {:>6.1} {:>8} {:>9}",
        m.rows,
        way.name(),
        mib(m.file_bytes),
        m.seed.as_secs_f64(),
        m.rows as f64 / m.seed.as_secs_f64(),
        m.waited.as_secs_f64(),
        m.cpu.as_secs_f64(),
        mib(m.peak_bytes),
        m.peak_bytes as f64 / m.file_bytes as f64,
        m.vacuum.as_secs_f64(),
        ratio(own, m.vacuum),
        ratio(m.cpu, m.vacuum_cpu),
        known(m.cpu, script_cpu),
        known(m.seed, download),
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

/// Seeds one store in this process, after a first job that is not measured.
#[tokio::main]
async fn measure(store: &str) -> anyhow::Result<Measured> {
    let service: Access = serde_json::from_str(&std::env::var(SERVICE)?)?;
    let way: Way = serde_json::from_str(&std::env::var(WAY)?)?;
    let times: u32 = std::env::var(TIMES)?.parse()?;
    let mut total = match way {
        Way::FastLoad | Way::Paced => worker(service, store, times, true).await?,
        Way::CoreExtension => worker(service, store, times, false).await?,
        Way::Peer => script(service, store, times).await?,
        Way::Download | Way::PacedDownload => download(service, store, times).await?,
    };
    for duration in [&mut total.seed, &mut total.waited, &mut total.cpu] {
        *duration /= times;
    }
    Ok(total)
}

/// More than a seed of millions of rows takes.
const LIMIT: Duration = Duration::from_secs(3_600);

fn change(settings: &mut WorkerSettings) {
    as_shipped(settings);
    settings.worker.job_timeout = LIMIT;
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
    pipeline.patience = LIMIT;
    let mut measured = Measured::default();
    let mut file = None;
    for time in 0..=times {
        let store = if time == 0 { WARM_UP.0 } else { store };
        let (cpu, started) = (cpu_time(), Instant::now());
        let mut job = job(store, json!({ "store_id": store }), Vec::new());
        job.deadline += LIMIT;
        let manifest = pipeline
            .run(job)
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
    measured.peak_bytes = peak_bytes();
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
        let store = if time == 0 { WARM_UP.0 } else { store };
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
    measured.peak_bytes = peak_bytes();
    let rows = "SELECT count(*) FROM ps_data__products";
    measured.rows = Connection::open(&file)?.query_row(rows, [], |row| row.get(0))?;
    vacuum(&file, directory.path(), &mut measured)?;
    Ok(measured)
}

/// Reads every line of the stream, so many times, and makes nothing of it.
async fn download(service: Access, store: &str, times: u32) -> anyhow::Result<Measured> {
    let directory = tempfile::tempdir()?;
    let mut settings = settings(service, &directory);
    change(&mut settings);
    let job = job(store, json!({ "store_id": store }), Vec::new());
    let mut measured = Measured::default();
    for _ in 0..times {
        let (cpu, started) = (cpu_time(), Instant::now());
        let token = TokenSigner::new(&settings.token)?.sign(&job.scope)?;
        let service = PowerSyncClient::new(&settings.powersync)?;
        let request = json!({ "buckets": [], "include_checksum": true, "raw_data": true });
        let mut lines = service.open(request.to_string(), &token).await?;
        loop {
            let line = lines.next().await?.context("the stream ended early")?;
            lines.operation_arrived();
            // Lines with rows are longer, and are not to be read.
            let is_short = line.bytes.len() < 200;
            if is_short && ReadLine::read(line, false)?.kind == LineKind::CheckpointComplete {
                break;
            }
        }
        measured.seed += started.elapsed();
        measured.cpu += cpu_time() - cpu;
    }
    measured.waited = measured.seed;
    measured.peak_bytes = peak_bytes();
    Ok(measured)
}

/// Measures `VACUUM INTO` on the finished file: the median of several times, since one is short enough for any
/// disturbance to double it.
fn vacuum(file: &Path, directory: &Path, measured: &mut Measured) -> anyhow::Result<()> {
    measured.file_bytes = std::fs::metadata(file)?.len();
    let copy = directory.join("copy.sqlite");
    let mut times = Vec::new();
    for _ in 0..VACUUMS {
        let connection = Connection::open(file)?;
        let (cpu, started) = (cpu_time(), Instant::now());
        connection.execute("VACUUM INTO ?1", [copy.to_string_lossy()])?;
        times.push((started.elapsed(), cpu_time() - cpu));
        std::fs::remove_file(&copy)?;
    }
    times.sort();
    (measured.vacuum, measured.vacuum_cpu) = times[VACUUMS / 2];
    Ok(())
}
