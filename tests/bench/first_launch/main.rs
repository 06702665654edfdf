//! What a device's first launch takes, from its start to the first query that sees all rows:
//! `cargo bench -p seedbed-tests --bench first_launch`.
//!
//! Everything comes over a link of 10 Mbit/s and 50 ms to the stand-in service and to `seedbed local --serve`, which has seeded
//! the same rows. The device is a process of Node with the real `@powersync/node`, new for each launch; loading its
//! modules is not measured. The ways take turns in one run, and each figure is the median of so many launches
//! (`SEEDBED_BENCH_LAUNCHES`, 1 by default): bytes as they came over the link with headers, seconds, and CPU of the whole process.
//! `SEEDBED_BENCH_SIZES=1000,100000,500000` sets the sizes, `SEEDBED_BENCH_WAYS=sync,compact` the ways (guide, sync, file, gzip,
//! compact, stream; the initial sync is always among them). `SEEDBED_BENCH_CPU=25` gives the device a quarter of a core,
//! by `cpulimit`, which Debian has.
//!
//! The packages are those of `tests/run.sh first_launch`; without them the benchmark says so and ends.

use std::{
    collections::BTreeMap,
    io::Write,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, ensure};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{EncodingKey, Header};
use serde::Deserialize;
use serde_json::json;
use testkit::{
    machine::{client_packages, machine, node, tools},
    pipeline::Access,
    program::{Process, Program},
    servers::Link,
    serving::{Serving, now, token},
    stand_in::StandIn,
};

/// Rows of the stores.
const SIZES: [u32; 2] = [1_000, 100_000];

const BITS_PER_SECOND: u32 = 10_000_000;
const ROUND_TRIP: Duration = Duration::from_millis(50);

/// Longer than all launches take, in seconds.
const TOKEN_LIFETIME: u64 = 6 * 3600;

/// What Seedbed hands out.
const RENDITIONS: &str =
    "file/identity,file/gzip,compact/gzip,stream-bson/zstd,stream-bson/gzip,stream/gzip";

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
    /// The package, which finishes the compact form.
    Compact,
    /// The SDK's own first sync, from Seedbed.
    Stream,
}

impl Way {
    const ALL: [Self; 6] = [
        Self::Guide,
        Self::Sync,
        Self::File,
        Self::FileGzip,
        Self::Compact,
        Self::Stream,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Guide => "guide's client",
            Self::Sync => "initial sync",
            Self::File => "file",
            Self::FileGzip => "file, gzip",
            Self::Compact => "compact",
            Self::Stream => "stream",
        }
    }

    /// What `SEEDBED_BENCH_WAYS` calls it.
    fn short(self) -> &'static str {
        match self {
            Self::FileGzip => "gzip",
            other => other.of_script(),
        }
    }

    /// What `launch.js` calls it.
    fn of_script(self) -> &'static str {
        match self {
            Self::Guide => "guide",
            Self::Sync => "sync",
            Self::File | Self::FileGzip => "file",
            Self::Compact => "compact",
            Self::Stream => "stream",
        }
    }
}

/// What a launch took.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Took {
    millis: f64,
    cpu_millis: f64,
    /// Seconds of each stage of a package's launch.
    stages: BTreeMap<String, f64>,
    #[serde(skip)]
    bytes: u64,
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
        .unwrap_or_else(|_| "guide,sync,file,gzip,compact,stream".to_owned());
    let ways = Way::ALL.into_iter();
    let ways: Vec<_> = ways
        .filter(|way| *way == Way::Sync || wanted.split(',').any(|short| short == way.short()))
        .collect();
    println!("{}", machine());
    if let Some(percent) = cpu {
        println!("The device has {percent} % of a core");
    }
    println!(
        "{:>7} {:>15} {:>8} {:>7} {:>8} {:>8} {:>7} {:>10} {:>9} {:>8}",
        "rows", "way", "MB", "/sync", "s", "/guide", "CPU s", "/sync", "finish s", "/sync"
    );
    let stores: Vec<_> = sizes
        .iter()
        .map(|rows| (format!("store-{rows}"), *rows))
        .collect();
    let world = World::start(&stores).await?;
    for (store, rows) in &stores {
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
            "{rows:>7} {:>15} {:>8.2} {:>7.2} {:>8.2} {of_guide:>8} {:>7.2} {:>10.2} {finishing:>9.2} {:>8.2}",
            way.name(),
            took.bytes as f64 / 1e6,
            took.bytes as f64 / sync.bytes as f64,
            took.millis / 1e3,
            took.cpu_millis / 1e3,
            took.cpu_millis / sync.cpu_millis,
            took.millis / sync.millis,
        );
    }
}

/// A service, two Seedbeds with its snapshots, and what a token is made with.
struct World {
    access: Access,
    /// With gzip and the compact form.
    all: Serving,
    /// With plain files only.
    plain: Serving,
    _programs: [Program; 2],
    _service: StandIn,
}

impl World {
    async fn start(stores: &[(String, u32)]) -> anyhow::Result<Self> {
        let service = StandIn::start(stores.iter().map(|(store, rows)| (&**store, *rows)));
        let access = service.access();
        let all = seedbed(&access, stores, RENDITIONS).await;
        let plain = seedbed(&access, stores, "file/identity").await;
        Ok(Self {
            access,
            all: all.1,
            plain: plain.1,
            _programs: [all.0, plain.0],
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
            Way::Guide | Way::File => &self.plain,
            Way::Sync | Way::FileGzip | Way::Compact | Way::Stream => &self.all,
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
            "directory": directory.path(),
        });
        let ran = tokio::task::spawn_blocking(move || run(&task.to_string(), cpu)).await?;
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

/// Runs the device.
fn run(task: &str, cpu: Option<u32>) -> anyhow::Result<Took> {
    let script = "tests/bench/first_launch/launch.js";
    let mut command = match cpu {
        None => Command::new(node()),
        Some(percent) => {
            let mut command = Command::new("cpulimit");
            command.args([
                "--quiet",
                "--foreground",
                "--limit",
                &percent.to_string(),
                "--",
            ]);
            command.arg(node());
            command
        }
    };
    let device = command
        .arg(script)
        .current_dir(client_packages())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut device = device.context("cannot start the device")?;
    let mut stdin = device.stdin.take().context("it is piped")?;
    stdin.write_all(task.as_bytes())?;
    drop(stdin);
    let output = device.wait_with_output()?;
    ensure!(output.status.success(), "the launch failed");
    let printed = String::from_utf8(output.stdout)?;
    let took = printed.lines().find(|line| line.starts_with('{'));
    Ok(serde_json::from_str(took.context("it says what it took")?)?)
}
