//! What a device's first launch takes, from its start to the first query that sees all rows:
//! `cargo bench -p seedbed-tests --bench first_launch`.
//!
//! Everything comes over a link of 10 Mbit/s and 50 ms to the stand-in service and to `seedbed local --serve`, which has seeded
//! the same rows. The device is a process of Node with the real `@powersync/node`, new for each launch; loading its
//! modules is not measured. The ways take turns in one run, and each figure is the median of so many launches
//! (`SEEDBED_BENCH_LAUNCHES`, 1 by default): bytes as they came over the link with headers, seconds, CPU of the whole process, the
//! most memory that it had, and the most disk: of its directory, and of the temporary files in which SQLite sorts.
//! `SEEDBED_BENCH_SIZES=1000,100000,500000` sets the sizes, `SEEDBED_BENCH_WAYS=sync,compact` the ways (guide, sync, file, gzip,
//! compact, zstd, pages, stream, browser; the initial sync is always among them). `SEEDBED_BENCH_CPU=25` gives the device a quarter of a core,
//! by `cpulimit`, which Debian has.
//!
//! The packages are those of `tests/run.sh first_launch`; without them the benchmark says so and ends.

mod device;
mod disk;

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::Context;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;
use testkit::{
    machine::{machine, mib, tools},
    pipeline::Access,
    program::{Process, Program},
    servers::Link,
    serving::{Serving, now, token},
    stand_in::StandIn,
};

use device::Took;

/// Rows of the stores.
const SIZES: [u32; 2] = [1_000, 100_000];

const BITS_PER_SECOND: u32 = 10_000_000;
const ROUND_TRIP: Duration = Duration::from_millis(50);

/// 160 KiB: SQLite itself has 2 MB by default.
const FEW_PAGES: u32 = 40;

/// Longer than all launches take, in seconds.
const TOKEN_LIFETIME: u64 = 6 * 3600;

/// What Seedbed hands out.
const RENDITIONS: &str =
    "file/identity,file/gzip,compact/gzip,stream-bson/zstd,stream-bson/gzip,stream/gzip";

/// What the other one does: without a compressed file, and with what only some devices can unpack.
const OTHER_RENDITIONS: &str = "file/identity,compact/zstd";

/// A browser's, in which a first sync is known to block all reads for half a minute.
const BROWSER_ROWS: u32 = 6_400;

const CHROMIUM: &str = "/usr/bin/chromium-headless-shell";

/// How an app gets its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    /// PowerSync's guide: the plain file.
    Guide,
    /// The SDK's own first sync.
    Sync,
    /// The package, from a Seedbed that has nothing but plain files.
    File,
    /// The package, with gzip.
    FileGzip,
    /// The package, which finishes the compact form, unpacked from gzip.
    Compact,
    /// The same from zstd, where the platform has it.
    CompactZstd,
    /// The same on a device with little memory: SQLite finishes it with [`FEW_PAGES`] pages in its cache.
    FewPages,
    /// The SDK's own first sync, from Seedbed.
    Stream,
    /// `@powersync/web` with its own virtual file system, in IndexedDB.
    WebSync,
    /// The same, from Seedbed.
    WebStream,
    /// The package for the web, which places the database in OPFS.
    WebCompact,
}

impl Way {
    const ALL: [Self; 8] = [
        Self::Guide,
        Self::Sync,
        Self::File,
        Self::FileGzip,
        Self::Compact,
        Self::CompactZstd,
        Self::FewPages,
        Self::Stream,
    ];

    const IN_BROWSER: [Self; 3] = [Self::WebSync, Self::WebStream, Self::WebCompact];

    /// In a browser: where the database is.
    fn vfs(self) -> Option<&'static str> {
        match self {
            Self::WebSync | Self::WebStream => Some("IDBBatchAtomicVFS"),
            Self::WebCompact => Some("OPFSCoopSyncVFS"),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Guide => "guide's client",
            Self::Sync => "initial sync",
            Self::File => "file",
            Self::FileGzip => "file, gzip",
            Self::Compact => "compact",
            Self::CompactZstd => "compact, zstd",
            Self::FewPages => "compact, small",
            Self::Stream => "stream",
            Self::WebSync => "IDB, sync",
            Self::WebStream => "IDB, stream",
            Self::WebCompact => "OPFS, compact",
        }
    }

    /// What `SEEDBED_BENCH_WAYS` calls it.
    fn short(self) -> &'static str {
        match self {
            Self::FileGzip => "gzip",
            Self::CompactZstd => "zstd",
            Self::FewPages => "pages",
            other => other.of_script(),
        }
    }

    /// What `launch.js` calls it.
    fn of_script(self) -> &'static str {
        match self {
            Self::Guide => "guide",
            Self::Sync | Self::WebSync => "sync",
            Self::File | Self::FileGzip => "file",
            Self::Compact | Self::CompactZstd | Self::FewPages | Self::WebCompact => "compact",
            Self::Stream | Self::WebStream => "stream",
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    if !tools("client/node_modules").exists() {
        println!(
            "SKIPPED: the client packages are not installed: tests/run.sh first_launch does it"
        );
        return Ok(());
    }
    let sizes = numbers("SEEDBED_BENCH_SIZES")?.unwrap_or(SIZES.to_vec());
    let launches = numbers("SEEDBED_BENCH_LAUNCHES")?.map_or(1, |numbers| numbers[0]);
    let cpu = numbers("SEEDBED_BENCH_CPU")?.map(|numbers| numbers[0]);
    let wanted = std::env::var("SEEDBED_BENCH_WAYS")
        .unwrap_or_else(|_| "guide,sync,file,gzip,compact,zstd,pages,stream,browser".to_owned());
    let ways = Way::ALL.into_iter();
    let ways: Vec<_> = ways
        .filter(|way| *way == Way::Sync || wanted.split(',').any(|short| short == way.short()))
        .collect();
    println!("{}", machine());
    if let Some(percent) = cpu {
        println!("The device has {percent} % of a core");
    }
    println!(
        "{:>7} {:>15} {:>8} {:>7} {:>8} {:>8} {:>7} {:>10} {:>9} {:>8} {:>8} {:>8} {:>8}",
        "rows",
        "way",
        "MB",
        "/sync",
        "s",
        "/guide",
        "CPU s",
        "/sync",
        "finish s",
        "/sync",
        "MiB",
        "disk MiB",
        "temp MiB"
    );
    let named = |rows: &u32| (format!("store-{rows}"), *rows);
    let mut stores: Vec<_> = sizes.iter().map(named).collect();
    let browser = wanted.split(',').any(|short| short == "browser") && has_browser();
    if browser && !sizes.contains(&BROWSER_ROWS) {
        stores.push(named(&BROWSER_ROWS));
    }
    let world = World::start(&stores).await?;
    for (store, rows) in stores.iter().filter(|(_, rows)| sizes.contains(rows)) {
        let mut medians = BTreeMap::new();
        for &way in &ways {
            let mut all = Vec::new();
            for _ in 0..launches {
                all.push(world.launch(way, store, *rows, cpu).await?);
            }
            all.sort_by(|a, b| a.millis.total_cmp(&b.millis));
            medians.insert(way, all.swap_remove(all.len() / 2));
        }
        print(*rows, &medians);
    }
    if browser {
        in_browser(&world).await?;
    }
    Ok(())
}

fn has_browser() -> bool {
    let there = Path::new(CHROMIUM).exists();
    if !there {
        println!("SKIPPED: the browser: install Debian's chromium-headless-shell");
    }
    there
}

/// One launch each in the browser: until all rows are seen, and the longest that a query waited.
async fn in_browser(world: &World) -> anyhow::Result<()> {
    println!(
        "\n{:>7} {:>15} {:>8} {:>8} {:>9}",
        "rows", "way", "MB", "s", "blocked s"
    );
    for way in Way::IN_BROWSER {
        let store = format!("store-{BROWSER_ROWS}");
        let took = world.launch(way, &store, BROWSER_ROWS, None).await?;
        println!(
            "{BROWSER_ROWS:>7} {:>15} {:>8.2} {:>8.2} {:>9.2}",
            way.name(),
            took.bytes as f64 / 1e6,
            took.millis / 1e3,
            took.blocked_millis / 1e3,
        );
    }
    Ok(())
}

/// The numbers that a variable lists.
fn numbers(variable: &str) -> anyhow::Result<Option<Vec<u32>>> {
    let Ok(text) = std::env::var(variable) else {
        return Ok(None);
    };
    let numbers = text
        .split(',')
        .map(str::parse)
        .collect::<Result<Vec<u32>, _>>();
    numbers
        .map(Some)
        .with_context(|| format!("{variable}={text}"))
}

fn print(rows: u32, medians: &BTreeMap<Way, Took>) {
    let sync = &medians[&Way::Sync];
    let guide = medians.get(&Way::Guide);
    for (way, took) in medians {
        let finishing = took.stages.get("finishing").copied().unwrap_or_default();
        let of_guide = guide.map_or("-".to_owned(), |guide| {
            format!("{:.2}", took.millis / guide.millis)
        });
        println!(
            "{rows:>7} {:>15} {:>8.2} {:>7.2} {:>8.2} {of_guide:>8} {:>7.2} {:>10.2} {finishing:>9.2} {:>8.2} {:>8.0} {:>8.0} {:>8.0}",
            way.name(),
            took.bytes as f64 / 1e6,
            took.bytes as f64 / sync.bytes as f64,
            took.millis / 1e3,
            took.cpu_millis / 1e3,
            took.cpu_millis / sync.cpu_millis,
            took.millis / sync.millis,
            mib(took.peak_kib * 1024),
            mib(took.disk.all),
            mib(took.disk.temporary),
        );
    }
}

/// A service, two Seedbeds with its snapshots, and what a token is made with.
struct World {
    access: Access,
    /// With gzip and the compact form.
    all: Serving,
    /// With plain files, and the compact form in zstd.
    other: Serving,
    _programs: [Program; 2],
    _service: StandIn,
}

impl World {
    async fn start(stores: &[(String, u32)]) -> anyhow::Result<Self> {
        let service = StandIn::start(stores.iter().map(|(store, rows)| (&**store, *rows)));
        let access = service.access();
        let all = seedbed(&access, stores, RENDITIONS).await;
        let other = seedbed(&access, stores, OTHER_RENDITIONS).await;
        Ok(Self {
            access,
            all: all.1,
            other: other.1,
            _programs: [all.0, other.0],
            _service: service,
        })
    }

    /// One launch of a new device, over a link of its own.
    async fn launch(
        &self,
        way: Way,
        store: &str,
        rows: u32,
        cpu: Option<u32>,
    ) -> anyhow::Result<Took> {
        let mut link = Link::new(BITS_PER_SECOND, ROUND_TRIP);
        let serving = match way {
            Way::Guide | Way::File | Way::CompactZstd => &self.other,
            _ => &self.all,
        };
        let endpoint = over(&mut link, &self.access.endpoint).await?;
        let seedbed = over(&mut link, &serving.url).await?;
        let directory = tempfile::tempdir()?;
        let key = URL_SAFE_NO_PAD.decode(&self.access.secret)?;
        let header = Header {
            kid: Some(self.access.kid.clone()),
            ..Header::default()
        };
        let claims = json!({
            "sub": "device",
            "aud": self.access.endpoint,
            "iat": now(),
            "exp": now() + TOKEN_LIFETIME,
            "store_id": store,
        });
        let task = json!({
            "way": way.of_script(),
            "endpoint": endpoint,
            "seedbed": seedbed,
            "token": token(claims, &header, &EncodingKey::from_secret(&key)),
            "store": store,
            "rows": rows,
            "vfs": way.vfs(),
            "cachePages": (way == Way::FewPages).then_some(FEW_PAGES),
            "directory": directory.path(),
        });
        let script = way.vfs().map_or("launch.js", |_| "browser.js");
        let path = directory.path().to_owned();
        let ran = move || device::run(script, &task.to_string(), &path, cpu);
        let ran = tokio::task::spawn_blocking(ran).await?;
        let took = ran.with_context(|| format!("{way:?} of {rows} rows"))?;
        Ok(Took {
            bytes: link.received(),
            ..took
        })
    }
}

/// Seeds the stores and serves their snapshots.
async fn seedbed(
    access: &Access,
    stores: &[(String, u32)],
    renditions: &str,
) -> (Program, Serving) {
    let mut program = Program::new(access.clone());
    program.set("DOWNLOAD__SECRET", &access.secret);
    program.set("SNAPSHOTS__RENDITIONS", renditions);
    let ids: Vec<_> = stores.iter().map(|(store, _)| &**store).collect();
    program.write("stores.csv", format!("store_id\n{}\n", ids.join("\n")));
    let local = ["local", "--serve", "--stores", "stores.csv"];
    let mut serving = Serving::start(&program, &local).await;
    let seeded = |seedbed: &Process| seedbed.output().contains(r#""type":"summary""#);
    serving.process.until("every store is seeded", seeded).await;
    (program, serving)
}

/// The URL at which a device finds a server.
async fn over(link: &mut Link, url: &str) -> anyhow::Result<String> {
    let port = url.rsplit_once(':').context("the URL has a port")?.1;
    Ok(format!("http://127.0.0.1:{}", link.to(port.parse()?).await))
}
