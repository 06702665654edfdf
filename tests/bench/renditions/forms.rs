//! What the compact form costs, and what finishing it costs: `cargo bench -p seedbed-tests --bench forms`.
//!
//! A worker seeds a store of each size with the file alone, for the CPU of the job. Of its file, the compact form is made
//! as a worker makes it, and in another order of `ps_oplog`: that of its largest index. Each is then finished as a device
//! does: with a WAL, in one transaction, with temporary tables in memory. `SEEDBED_BENCH_SIZES=1000,5000` takes other sizes.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use rusqlite::Connection;
use seedbed_protocol::{
    manifest::{Encoding, Finishing, RenditionKind},
    objects::wrap,
};
use seedbed_worker::{
    oplog,
    snapshot::forms::{finish, write_compact},
};
use testkit::{
    machine::{cpu_time, machine, mib, peak_bytes},
    pipeline::Pipeline,
    stand_in::StandIn,
};
use tokio::io::{AsyncReadExt, BufReader};

const SIZES: [u32; 3] = [1_000, 100_000, 500_000];

/// Every file is made so often, and the cheapest counts: the first one finds nothing cached.
const TIMES: usize = 3;

/// Names the file that this process finishes: each does so in a process of its own, whose memory is measured.
const DEVICE: &str = "SEEDBED_BENCH_DEVICE";

/// An SDK's page cache, in KiB.
const CACHE_KIB: i64 = 50 * 1024;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    if let Ok(device) = std::env::var(DEVICE) {
        return finish_here(Path::new(&device));
    }
    println!("{}", machine());
    for rows in sizes()? {
        let store = format!("bench-{rows}");
        let service = StandIn::start([(&*store, rows)]);
        let mut pipeline = Pipeline::start_with(service.access(), |settings| {
            settings.snapshots.renditions = vec![RenditionKind::file(Encoding::Identity)];
        })
        .await;
        let before = cpu_time();
        let manifest = pipeline.seed(&store).await;
        let job = cpu_time() - before;
        let manifest = manifest.map_err(|failure| anyhow::anyhow!(failure.message))?;
        measure(rows, job, &pipeline.file(&manifest)).await?;
    }
    Ok(())
}

fn sizes() -> anyhow::Result<Vec<u32>> {
    const VARIABLE: &str = "SEEDBED_BENCH_SIZES";
    match std::env::var(VARIABLE) {
        Ok(sizes) => sizes
            .split(',')
            .map(|size| size.trim().parse().context(VARIABLE))
            .collect(),
        Err(_) => Ok(SIZES.to_vec()),
    }
}

async fn measure(rows: u32, job: Duration, file: &Path) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let compact = directory.path().join("compact.sqlite");
    let mut cost = Duration::MAX;
    for _ in 0..TIMES {
        let before = cpu_time();
        write_compact(file, &compact)?;
        cost = cost.min(cpu_time() - before);
    }
    println!(
        "{rows:>8} rows: the job {:.3} s of CPU, its compact form {:.3} s: {:.1} %",
        job.as_secs_f64(),
        cost.as_secs_f64(),
        100.0 * cost.as_secs_f64() / job.as_secs_f64(),
    );
    for how in ["NOT INDEXED", "INDEXED BY ps_oplog_key"] {
        let (_, took) = sorted(&compact, file, directory.path(), how)?;
        println!(
            "{rows:>8} rows: to copy its operations in the order of their keys, {how}: {took:.3} s of CPU"
        );
    }
    let (sorted, _) = sorted(&compact, file, directory.path(), "NOT INDEXED")?;
    report(rows, "the file", file, None).await?;
    for (order, form) in [("as made", &compact), ("sorted", &sorted)] {
        let finished = finished(form, directory.path())?;
        report(rows, order, form, Some(finished)).await?;
    }
    Ok(())
}

async fn report(
    rows: u32,
    order: &str,
    file: &Path,
    finished: Option<String>,
) -> anyhow::Result<()> {
    let plain = file.metadata()?.len();
    let (gzip, gzip_cpu) = packed(Encoding::Gzip, file).await?;
    let (zstd, zstd_cpu) = packed(Encoding::Zstd, file).await?;
    println!(
        "{rows:>8} rows {order:>9}: {:.2} MiB, gzip {:.2} MiB ({gzip_cpu:.2} s), zstd {:.2} MiB ({zstd_cpu:.2} s)",
        mib(plain),
        mib(gzip),
        mib(zstd)
    );
    if let Some(finished) = finished {
        println!("{rows:>8} rows {order:>9}: {finished}");
    }
    Ok(())
}

/// The size of an object in this encoding, and the seconds of CPU to make it.
async fn packed(encoding: Encoding, file: &Path) -> anyhow::Result<(u64, f64)> {
    let before = cpu_time();
    let file = BufReader::with_capacity(1 << 16, tokio::fs::File::open(file).await?);
    let mut object = wrap(encoding, file);
    let (mut bytes, mut piece) = (0, vec![0; 1 << 16]);
    loop {
        match object.read(&mut piece).await? {
            0 => return Ok((bytes, (cpu_time() - before).as_secs_f64())),
            read => bytes += read as u64,
        }
    }
}

/// The same compact file with `ps_oplog` in the order of its largest index; and the seconds of CPU that its rows take.
fn sorted(
    compact: &Path,
    file: &Path,
    directory: &Path,
    how: &str,
) -> anyhow::Result<(PathBuf, f64)> {
    let (copy, sorted) = (
        directory.join("copy.sqlite"),
        directory.join("sorted.sqlite"),
    );
    let _ = std::fs::remove_file(&sorted);
    std::fs::copy(compact, &copy)?;
    let oplog = Finishing::OPLOG;
    let connection = Connection::open(&copy)?;
    connection.execute("ATTACH ?1 AS file", [file.to_string_lossy()])?;
    connection.execute_batch(&format!(
        "PRAGMA main.journal_mode = off; DELETE FROM main.{oplog}"
    ))?;
    let before = cpu_time();
    connection.execute_batch(&format!(
        "INSERT INTO main.{oplog} SELECT * FROM file.ps_oplog {how} ORDER BY bucket, key"
    ))?;
    let took = (cpu_time() - before).as_secs_f64();
    connection.execute("VACUUM main INTO ?1", [sorted.to_string_lossy()])?;
    Ok((sorted, took))
}

/// Finishes a copy in a process of its own, and returns what that took.
fn finished(form: &Path, directory: &Path) -> anyhow::Result<String> {
    let copy = directory.join("device.sqlite");
    std::fs::copy(form, &copy)?;
    let mut device = Command::new(std::env::current_exe()?);
    let ended = device
        .env(DEVICE, &copy)
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(ended.status.success(), "the device failed");
    Ok(String::from_utf8(ended.stdout)?.trim().to_owned())
}

/// Finishes the file as an SDK would.
fn finish_here(file: &Path) -> anyhow::Result<()> {
    let connection = oplog::open(file)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "normal")?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    oplog::initialize(&connection)?;
    connection.execute_batch(
        "CREATE TABLE ps_data__products (id TEXT PRIMARY KEY NOT NULL, data TEXT)",
    )?;
    let (cpu, wall, memory) = (cpu_time(), Instant::now(), peak_bytes());
    finish(&connection, r#"{"tables":[]}"#)?;
    println!(
        "finished in {:.3} s of CPU, {:.3} s, with {:.1} MiB more memory and a WAL of {:.1} MiB",
        (cpu_time() - cpu).as_secs_f64(),
        wall.elapsed().as_secs_f64(),
        mib(peak_bytes() - memory),
        mib(file.with_extension("sqlite-wal").metadata()?.len()),
    );
    drop(connection);
    std::fs::remove_file(file)?;
    Ok(())
}
