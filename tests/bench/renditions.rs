//! What the forms of a snapshot cost: `cargo bench -p seedbed-tests --bench renditions`.
//!
//! A worker seeds a store of each size. Each rendition of its file is then made as an upload makes it, and unpacked,
//! opened and asked as a client would: how many products have a name. The ratios are to the file itself, measured in the same
//! run. `SEEDBED_BENCH_SIZES=1000,5000` takes other sizes.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use rusqlite::{Connection, OpenFlags};
use seedbed_protocol::{
    Attempt, JobId, StoreId,
    manifest::{Encoding, Rendition, RenditionKind},
    objects::unwrap,
    snapshots::{SnapshotName, SnapshotRepository},
};
use testkit::{
    machine::{cpu_time, machine, mib},
    pipeline::Pipeline,
    stand_in::StandIn,
};
use tokio::{fs::File, io::BufReader};

const SIZES: [u32; 2] = [1_000, 100_000];

/// Every rendition is made and opened so often, and the fastest time counts: the first one finds nothing cached.
const TIMES: usize = 3;

const ENCODINGS: [Encoding; 3] = [Encoding::Identity, Encoding::Gzip, Encoding::Zstd];

/// How much is read and written at a time.
const PIECE_BYTES: usize = 1 << 20;

/// What a rendition took.
struct Measured {
    bytes: u64,
    made: Spent,
    opened: Spent,
}

/// The cheapest of several times.
#[derive(Clone, Copy)]
struct Spent {
    wall: Duration,
    cpu: Duration,
}

impl Spent {
    const NEVER: Self = Self {
        wall: Duration::MAX,
        cpu: Duration::MAX,
    };

    /// Since `before`, or this if that was cheaper.
    fn or_since(self, before: (Instant, Duration)) -> Self {
        Self {
            wall: self.wall.min(before.0.elapsed()),
            cpu: self.cpu.min(cpu_time() - before.1),
        }
    }
}

fn now() -> (Instant, Duration) {
    (Instant::now(), cpu_time())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    println!("{}", machine());
    println!(
        "{:>8} {:>9} {:>9} {:>6} {:>9} {:>9} {:>10} {:>9} {:>10}",
        "rows", "form", "MiB", "ratio", "make s", "make CPU", "open CPU", "open s", "open ratio"
    );
    for rows in sizes()? {
        let store = format!("bench-{rows}");
        let service = StandIn::start([(&*store, rows)]);
        let mut pipeline = Pipeline::start(service.access()).await;
        let manifest = pipeline.seed(&store).await;
        let manifest = manifest.map_err(|failure| anyhow::anyhow!(failure.message))?;
        let file = pipeline.file(&manifest);
        let mut plain = None;
        for encoding in ENCODINGS {
            let measured = measure(&pipeline.snapshots, &store, &file, encoding, rows).await?;
            let plain = plain.get_or_insert((measured.bytes, measured.opened.wall));
            println!(
                "{rows:>8} {:>9} {:>9.2} {:>6.2} {:>9.3} {:>9.3} {:>10.3} {:>9.3} {:>10.1}",
                encoding.name(),
                mib(measured.bytes),
                measured.bytes as f64 / plain.0 as f64,
                measured.made.wall.as_secs_f64(),
                measured.made.cpu.as_secs_f64(),
                measured.opened.cpu.as_secs_f64(),
                measured.opened.wall.as_secs_f64(),
                measured.opened.wall.as_secs_f64() / plain.1.as_secs_f64(),
            );
        }
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

async fn measure(
    snapshots: &SnapshotRepository,
    store: &str,
    file: &Path,
    encoding: Encoding,
    rows: u32,
) -> anyhow::Result<Measured> {
    let directory = tempfile::tempdir()?;
    let (mut made, mut opened) = (Spent::NEVER, Spent::NEVER);
    let mut bytes = 0;
    for _ in 0..TIMES {
        let source = directory.path().join("source.sqlite");
        std::fs::copy(file, &source)?;
        let before = now();
        let rendition = put(snapshots, store, encoding, &source).await?;
        made = made.or_since(before);
        bytes = rendition.bytes;

        let object = snapshots.local_path(&rendition.key);
        let object = object.context("snapshots are in a directory")?;
        let unpacked = directory.path().join("app.sqlite");
        let before = now();
        let found = open(encoding, &object, &unpacked).await?;
        opened = opened.or_since(before);
        ensure!(found == rows, "{found} of {rows} rows are there");
    }
    Ok(Measured {
        bytes,
        made,
        opened,
    })
}

/// Stores a rendition as an upload does: wrapped, hashed and safely on disk.
async fn put(
    snapshots: &SnapshotRepository,
    store: &str,
    encoding: Encoding,
    file: &Path,
) -> anyhow::Result<Rendition> {
    let name = SnapshotName::new(&StoreId::new(store)?, JobId::new(), Attempt::FIRST);
    Ok(snapshots
        .put(&name, RenditionKind::file(encoding), file)
        .await?)
}

/// From a downloaded object to the answer of a first query: how many rows there are.
async fn open(encoding: Encoding, object: &Path, unpacked: &Path) -> anyhow::Result<u32> {
    let file = match encoding {
        // The client opens what it has downloaded.
        encoding if !encoding.is_compressed() => object,
        _ => {
            let object = BufReader::with_capacity(PIECE_BYTES, File::open(object).await?);
            let mut pieces = BufReader::with_capacity(PIECE_BYTES, unwrap(encoding, object));
            let mut output = File::create(unpacked).await?;
            tokio::io::copy_buf(&mut pieces, &mut output).await?;
            output.sync_all().await?;
            unpacked
        }
    };
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let count = "SELECT count(*) FROM ps_data__products WHERE data ->> 'name' IS NOT NULL";
    Ok(connection.query_row(count, [], |row| row.get(0))?)
}
