//! What Seedbed saves over the script of PowerSync's guide: `cargo bench -p seedbed-tests --bench guide`.
//!
//! `guide/seed.js` does with the real `@powersync/node` what the guide describes, one store after the other. A worker in this
//! process then seeds the same stores from the same stand-in service, with one slot and with two; it also verifies
//! every file, hashes it, and stores the compact form as well, neither compressed. The ratios are how many times as much the script took, in the same run. The start of
//! either program is not measured. `SEEDBED_BENCH_STORES` sets the number of small stores.
//!
//! The packages are installed below `target/test-tools/guide` with the npm of the tests; without it the benchmark says so and
//! ends.

use std::{
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, ensure};
use rusqlite::Connection;
use seedbed_protocol::manifest::Manifest;
use seedbed_worker::settings::{StreamCompression, WorkerSettings};
use serde::Deserialize;
use serde_json::json;
use testkit::{
    machine::{cpu_time, forget_peak, machine, mib, node, number, peak_bytes, tools},
    pipeline::{Pipeline, as_shipped},
    stand_in::StandIn,
};

const SMALL_ROWS: u32 = 1_000;
const SMALL_STORES: u32 = 50;
const LARGE_ROWS: u32 = 100_000;

/// What seeding all stores took.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Took {
    wall_millis: f64,
    cpu_millis: f64,
    peak_bytes: u64,
}

/// A store and how many rows it has.
type Store = (String, u32);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Some(installed) = install()? else {
        println!(
            "SKIPPED: there is no npm to install @powersync/node with: tests/run.sh delivery installs it"
        );
        return Ok(());
    };
    let small = number("SEEDBED_BENCH_STORES", SMALL_STORES);
    let small: Vec<Store> = (1..=small)
        .map(|number| (format!("small-{number}"), SMALL_ROWS))
        .collect();
    println!("{}", machine());
    println!(
        "{:>7} {:>8} {:>13} {:>8} {:>8} {:>9} {:>6} {:>6}",
        "stores", "rows", "way", "s", "CPU s", "peak MiB", "wall x", "CPU x"
    );
    for stores in [small, vec![("large".to_owned(), LARGE_ROWS)]] {
        compare(&installed, &stores).await?;
    }
    Ok(())
}

async fn compare(installed: &Path, stores: &[Store]) -> anyhow::Result<()> {
    let served = stores.iter().map(|(store, rows)| (&**store, *rows));
    let service = StandIn::start(served);
    let guide = guide(installed, &service, stores)?;
    print(stores, "guide", &guide, &guide);
    for slots in [1, 2] {
        let took = worker(&service, stores, slots).await?;
        print(stores, &format!("worker, {slots}"), &took, &guide);
    }
    Ok(())
}

fn print(stores: &[Store], way: &str, took: &Took, guide: &Took) {
    let rows: u32 = stores.iter().map(|(_, rows)| rows).sum();
    println!(
        "{:>7} {rows:>8} {way:>13} {:>8.2} {:>8.2} {:>9.0} {:>6.1} {:>6.1}",
        stores.len(),
        took.wall_millis / 1_000.0,
        took.cpu_millis / 1_000.0,
        mib(took.peak_bytes),
        guide.wall_millis / took.wall_millis,
        guide.cpu_millis / took.cpu_millis,
    );
}

/// The directory with the script and its packages; `None` without npm.
fn install() -> anyhow::Result<Option<PathBuf>> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/guide");
    let target = tools("guide");
    std::fs::create_dir_all(&target)?;
    for file in ["package.json", "package-lock.json", "seed.js"] {
        std::fs::copy(source.join(file), target.join(file))?;
    }
    // Of which lock file the packages are: an interrupted installation has none.
    let (wanted, installed) = (
        target.join("package-lock.json"),
        target.join("installed.json"),
    );
    if std::fs::read(&wanted).ok() != std::fs::read(&installed).ok() {
        let options = "--ignore-scripts --legacy-peer-deps --no-audit --no-fund --loglevel=error";
        // npm itself runs on the Node in its folder.
        let path = std::env::var("PATH").unwrap_or_default();
        let npm = Command::new(tools("bin/npm"))
            .env("PATH", format!("{}:{path}", tools("bin").display()))
            .arg("ci")
            .args(options.split(' '))
            .current_dir(&target)
            .stdout(Stdio::null())
            .status();
        match npm {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            npm => ensure!(npm?.success(), "npm cannot install the packages"),
        }
        std::fs::copy(wanted, installed)?;
    }
    Ok(Some(target))
}

/// Runs the script of the guide, and looks whether it made what it should.
fn guide(installed: &Path, service: &StandIn, stores: &[Store]) -> anyhow::Result<Took> {
    let uploads = tempfile::tempdir()?;
    let access = service.access();
    let task = json!({
        "endpoint": access.endpoint,
        "secret": access.secret,
        "kid": access.kid,
        "stores": stores.iter().map(|(store, _)| store).collect::<Vec<_>>(),
        "uploads": uploads.path(),
    });
    let mut script = Command::new(node())
        .arg("seed.js")
        .current_dir(installed)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run Node")?;
    let mut stdin = script.stdin.take().context("it is piped")?;
    stdin.write_all(task.to_string().as_bytes())?;
    drop(stdin);
    let output = script.wait_with_output()?;
    ensure!(output.status.success(), "the script failed");
    for (store, rows) in stores {
        let file = uploads.path().join(format!("{store}.sqlite"));
        let count = "SELECT count(*) FROM ps_data__products";
        let found: u32 = Connection::open(file)?.query_row(count, [], |row| row.get(0))?;
        ensure!(found == *rows, "the script has {found} of {rows} rows");
    }
    serde_json::from_slice(&output.stdout).context("the script says what it took")
}

/// Gives a worker all stores at once.
async fn worker(service: &StandIn, stores: &[Store], slots: u16) -> anyhow::Result<Took> {
    let change = |settings: &mut WorkerSettings| {
        as_shipped(settings);
        settings.worker.slots = Some(slots);
        settings.worker.cache_mib = 128;
        settings.worker.load_memory_mib = 128;
        settings.powersync.compression = StreamCompression::Zstd;
    };
    let mut pipeline = Pipeline::start_with(service.access(), change).await;
    let ids: Vec<_> = stores.iter().map(|(store, _)| store).collect();
    // A worker compares the forms of its first job, and then of one in a hundred.
    let first = pipeline.seed(ids[0]).await;
    first.map_err(|failure| anyhow::anyhow!(failure.message))?;
    forget_peak();
    let (started, cpu) = (Instant::now(), cpu_time());
    let manifests = pipeline.seed_all(&ids).await;
    let manifests = manifests.map_err(|failure| anyhow::anyhow!(failure.message))?;
    let took = Took {
        wall_millis: started.elapsed().as_secs_f64() * 1_000.0,
        cpu_millis: (cpu_time() - cpu).as_secs_f64() * 1_000.0,
        peak_bytes: peak_bytes(),
    };
    let rows: u64 = manifests.iter().map(Manifest::rows).sum();
    let expected: u32 = stores.iter().map(|(_, rows)| rows).sum();
    ensure!(
        rows == u64::from(expected),
        "{rows} of {expected} rows were seeded"
    );
    Ok(took)
}
