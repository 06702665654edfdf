//! The coordinator's part of sweeps over very many stores: `cargo bench -p seedbed-tests --bench sweep`.
//!
//! `seedbed serve` and `seedbed run` on a real RabbitMQ, and a catalog in Postgres and then in SQLite. Instead of workers, this process
//! takes the jobs and reports at once that each was started and has a snapshot, so that nothing but the coordinator is measured.
//! Two sweeps for each size: the first over new stores, the second over stores with snapshots. Meanwhile clients ask
//! `GET /database` fifty times a second, and an administrator looks at the overview and the stores each second. All of it shares the
//! machine. The ratio is of the events' rates: 1.0 means that an event of a long sweep costs what one of the shortest does. The last
//! columns are the CPU that each part has taken for an event, in microseconds: the coordinator (with all of SQLite), the broker, Postgres,
//! and this process, which is workers, clients and administrator.
//!
//! `SEEDBED_BENCH_STORES=1000,10000` takes other sizes, `SEEDBED_BENCH_CATALOGS=sqlite` one catalog, and
//! `SEEDBED_BENCH_PROGRAMS=FOLDER` the programs of another build.

use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use chrono::Utc;
use futures::future::try_join_all;
use rand::Rng;
use reqwest::Client;
use seedbed::catalog::PendingJob;
use seedbed_protocol::{
    OpId,
    broker::{Broker, Message, Queue},
    manifest::{BucketCheckpoint, StepTiming},
    message::{EventKind, SeedEvent, SeedJob},
    telemetry::trace::TraceContext,
};
use serde_json::Value;
use testkit::{
    cluster::{Cluster, manifest},
    machine::{cpu_of_children, cpu_time, machine},
    serving::{ADMIN_TOKEN, SERVE, Serving, client_token, database_path},
};

/// Sizes of a sweep.
const STORES: &str = "1000,10000,100000";

/// Consumers that stand in for workers, and how many jobs each holds.
const CONSUMERS: usize = 4;
const PREFETCH: u16 = 64;

/// Between two questions of clients, and between two looks of an administrator.
const ASK: Duration = Duration::from_millis(20);
const LOOK: Duration = Duration::from_secs(1);

/// Between two questions whether a sweep is over.
const POLL: Duration = Duration::from_millis(200);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let sizes = std::env::var("SEEDBED_BENCH_STORES").unwrap_or_else(|_| STORES.to_owned());
    let catalogs = std::env::var("SEEDBED_BENCH_CATALOGS");
    let catalogs = catalogs.unwrap_or_else(|_| "postgres,sqlite".to_owned());
    println!("{}", machine());
    println!(
        "{:>9} {:>8} {:>6} {:>9} {:>8} {:>7} {:>9} {:>6} {:>9} {:>11} {:>11} {:>8} {:>8} {:>6} \
         {:>9} {:>9} {:>9} {:>9}",
        "catalog",
        "stores",
        "sweep",
        "publish s",
        "jobs/s",
        "run MiB",
        "events/s",
        "ratio",
        "serve MiB",
        "p99 ms pub.",
        "p99 ms ev.",
        "overview",
        "stores",
        "other",
        "serve us",
        "broker us",
        "pg us",
        "bench us"
    );
    for catalog in catalogs.split(',') {
        let mut first = [None, None];
        for size in sizes.split(',') {
            let stores = size.trim().parse().context("SEEDBED_BENCH_STORES")?;
            measure(catalog, stores, &mut first).await?;
        }
    }
    Ok(())
}

/// Sweeps so many stores twice, and prints a line for each.
async fn measure(catalog: &str, stores: u64, first: &mut [Option<f64>; 2]) -> anyhow::Result<()> {
    let mut cluster = Cluster::start().await;
    cluster
        .program
        .set_version(std::env::var_os("SEEDBED_BENCH_PROGRAMS").map(Into::into));
    if catalog == "sqlite" {
        cluster.catalog_url = format!("sqlite:{}", cluster.program.path("catalog.db").display());
        let url = cluster.catalog_url.clone();
        cluster.program.set("CATALOG__URL", url);
    }
    cluster.program.set("SERVE__RATE_LIMIT", "0");
    Serving::prepare(&mut cluster.program);
    let mut list = String::new();
    for number in 1..=stores {
        writeln!(
            list,
            "{{\"store_id\":\"store-{number}\",\"region\":\"eu\"}}"
        )?;
    }
    cluster.program.write("stores.ndjson", list);
    let serving = Serving::start(&cluster.program, &SERVE).await;
    let broker = cluster.broker().await;
    for (sweep, first) in ["first", "later"].into_iter().zip(first) {
        let asking = Asking::start(&serving.url, stores);
        let (publish, run_mib) = publish(&cluster).await?;
        let publishing = asking.stop().await?;
        let asking = Asking::start(&serving.url, stores);
        let before = cpu();
        let applying = apply(&broker, &serving, stores).await?;
        let cpu = used_since(before, 2 * stores);
        let applied = asking.stop().await?;
        let events = 2.0 * stores as f64 / applying.as_secs_f64();
        let ratio = events / *first.get_or_insert(events);
        let serve_mib = serving.process.peak_memory().unwrap_or_default() / 1024;
        println!(
            "{catalog:>9} {stores:>8} {sweep:>6} {:>9.1} {:>8.0} {run_mib:>7} {events:>9.0} {ratio:>6.2} {serve_mib:>9} \
             {:>11.1} {:>11.1} {:>8.0} {:>8.0} {:>6} {:>9.0} {:>9.0} {:>9.0} {:>9.0}",
            publish.as_secs_f64(),
            stores as f64 / publish.as_secs_f64(),
            percentile(&publishing.asked, 99),
            percentile(&applied.asked, 99),
            percentile(&applied.overview, 50),
            percentile(&applied.stores, 50),
            publishing.refused + applied.refused,
            cpu[0],
            cpu[1],
            cpu[2],
            cpu[3],
        );
    }
    broker.close().await;
    Ok(())
}

/// The CPU that each part of it has taken: coordinator, broker, Postgres, and this process.
fn cpu() -> [Duration; 4] {
    let of_children = cpu_of_children();
    let of = |name| of_children.get(name).copied().unwrap_or_default();
    [of("seedbed"), of("beam.smp"), of("postgres"), cpu_time()]
}

/// The CPU that each part has taken since then for each of so many events, in microseconds.
fn used_since(before: [Duration; 4], events: u64) -> [f64; 4] {
    let mut used = cpu();
    for (used, before) in used.iter_mut().zip(before) {
        *used = used.saturating_sub(before);
    }
    used.map(|used| used.as_secs_f64() * 1_000_000.0 / events as f64)
}

/// Lists and publishes every store. How long that took, and the most memory of the process in MiB.
async fn publish(cluster: &Cluster) -> anyhow::Result<(Duration, u64)> {
    let started = Instant::now();
    let arguments = ["run", "--stores", "stores.ndjson", "--no-wait", "--json"];
    let mut run = cluster.program.start(&arguments);
    let mut peak = 0;
    while run.is_running() {
        peak = run.peak_memory().unwrap_or(peak);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let took = started.elapsed();
    // It may warn of a slow statement.
    let error = run.error();
    let failed = error.lines().find(|line| line.contains("\"exit_code\""));
    ensure!(failed.is_none(), "{error}");
    Ok((took, peak / 1024))
}

/// Takes every job and reports on it as a worker does. How long it took until the catalog had all of it.
async fn apply(
    broker: &Arc<dyn Broker>,
    serving: &Serving,
    stores: u64,
) -> anyhow::Result<Duration> {
    let started = Instant::now();
    let taken = Arc::new(AtomicU64::new(0));
    let workers = (0..CONSUMERS).map(|_| work(broker.clone(), taken.clone(), stores));
    let over = async {
        loop {
            let overview = serving.admin("/api/overview").await;
            ensure!(overview.status.is_success(), "{overview:?}");
            let overview = overview.json();
            // No run is the current one as soon as it is over.
            let run = match &overview["currentRun"] {
                Value::Null => &overview["runs"][0],
                run => run,
            };
            ensure!(!run.is_null(), "{overview}");
            if run["state"] != "running" || run["inFlight"] == 0 {
                ensure!(run["seeded"] == stores, "{run}");
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
    };
    let (worked, over) = tokio::join!(try_join_all(workers), over);
    worked?;
    over?;
    Ok(started.elapsed())
}

/// Takes jobs until all of them are `taken`.
async fn work(broker: Arc<dyn Broker>, taken: Arc<AtomicU64>, stores: u64) -> anyhow::Result<()> {
    let mut jobs = broker.consume(Queue::Jobs, PREFETCH).await?;
    let mut reporting = tokio::task::JoinSet::new();
    while taken.load(Ordering::Relaxed) < stores {
        let next = tokio::time::timeout(Duration::from_millis(100), jobs.next());
        let Ok(Some(delivery)) = next.await else {
            continue;
        };
        taken.fetch_add(1, Ordering::Relaxed);
        let broker = broker.clone();
        reporting.spawn(async move {
            let job: SeedJob = delivery.message.decode()?;
            for kind in [EventKind::Started { trace_id: None }, completed(&job)] {
                let event = Message::event(&event(&job, kind), TraceContext::default())?;
                broker.publish(Queue::Events, event).await?;
            }
            delivery.ack().await?;
            anyhow::Ok(())
        });
    }
    while let Some(reported) = reporting.join_next().await {
        reported??;
    }
    Ok(())
}

fn event(job: &SeedJob, kind: EventKind) -> SeedEvent {
    SeedEvent {
        run_id: job.run_id,
        job_id: job.job_id,
        store_id: job.scope.store_id.clone(),
        attempt: job.attempt,
        at: Utc::now(),
        worker: "bench".to_owned(),
        kind,
        steps: Vec::new(),
    }
}

/// A snapshot with a few buckets and steps, as most have.
fn completed(job: &SeedJob) -> EventKind {
    let pending = PendingJob {
        job_id: job.job_id,
        run_id: job.run_id,
        turn: 0,
        position: 0,
        scope: job.scope.clone(),
        attempt: job.attempt,
    };
    let mut manifest = Box::new(manifest(&pending, job.attempt));
    let store = &job.scope.store_id;
    let buckets = (0..4).map(|number| BucketCheckpoint {
        bucket: format!("1#stream_{number}|0[\"{store}\"]"),
        last_op: OpId(1),
        checksum: 1,
        priority: 3,
        operations: 1_000,
    });
    manifest.checkpoint.buckets = buckets.collect();
    manifest.tables[0].rows = rand::rng().random_range(1..5_000);
    let steps = ["sync", "scrub", "vacuum", "verify", "compact", "upload"];
    let timing = |step: &str| StepTiming {
        step: step.to_owned(),
        millis: 20,
    };
    manifest.steps = steps.map(timing).into();
    EventKind::Completed { manifest }
}

/// Clients and an administrator that ask all the time.
struct Asking {
    stop: Arc<AtomicBool>,
    clients: tokio::task::JoinHandle<anyhow::Result<(Vec<Duration>, u64)>>,
    administrator: tokio::task::JoinHandle<anyhow::Result<Looks>>,
}

/// How long an administrator waited: for the overview, and for the first page of stores.
type Looks = (Vec<Duration>, Vec<Duration>);

/// How long each answer took, the shortest first.
struct Asked {
    asked: Vec<Duration>,
    overview: Vec<Duration>,
    stores: Vec<Duration>,
    /// Answers that were neither a URL nor that there is no snapshot.
    refused: u64,
}

impl Asking {
    fn start(url: &str, stores: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        Self {
            clients: tokio::spawn(ask(url.to_owned(), stores, stop.clone())),
            administrator: tokio::spawn(look(url.to_owned(), stop.clone())),
            stop,
        }
    }

    async fn stop(self) -> anyhow::Result<Asked> {
        self.stop.store(true, Ordering::Relaxed);
        let (mut asked, refused) = self.clients.await??;
        let (mut overview, mut stores) = self.administrator.await??;
        for latencies in [&mut asked, &mut overview, &mut stores] {
            latencies.sort();
        }
        Ok(Asked {
            asked,
            overview,
            stores,
            refused,
        })
    }
}

/// Asks for stores at random, at a steady pace whatever the answers take. How long each took, and how many were refused.
async fn ask(
    url: String,
    stores: u64,
    stop: Arc<AtomicBool>,
) -> anyhow::Result<(Vec<Duration>, u64)> {
    let client = Client::new();
    let mut asking = tokio::task::JoinSet::new();
    let mut ticks = tokio::time::interval(ASK);
    while !stop.load(Ordering::Relaxed) {
        ticks.tick().await;
        let store = format!("store-{}", rand::rng().random_range(1..=stores));
        let token = client_token(serde_json::json!({ "store_id": store }));
        let request = client.get(format!("{url}{}", database_path(&store)));
        let request = request.bearer_auth(token);
        asking.spawn(async move {
            let started = Instant::now();
            let answer = request.send().await?;
            let status = answer.status().as_u16();
            answer.bytes().await?;
            anyhow::Ok((started.elapsed(), status))
        });
    }
    let (mut latencies, mut refused) = (Vec::new(), 0);
    while let Some(asked) = asking.join_next().await {
        let (latency, status) = asked??;
        latencies.push(latency);
        refused += u64::from(!matches!(status, 200 | 202 | 404));
    }
    Ok((latencies, refused))
}

/// Looks at the dashboard's overview and at its stores, again and again.
async fn look(url: String, stop: Arc<AtomicBool>) -> anyhow::Result<Looks> {
    let client = Client::new();
    let (mut overview, mut stores) = (Vec::new(), Vec::new());
    let mut ticks = tokio::time::interval(LOOK);
    while !stop.load(Ordering::Relaxed) {
        ticks.tick().await;
        let looks = [
            ("/api/overview", &mut overview),
            ("/api/stores", &mut stores),
        ];
        for (path, latencies) in looks {
            let request = client.get(format!("{url}{path}")).bearer_auth(ADMIN_TOKEN);
            let started = Instant::now();
            request.send().await?.error_for_status()?.bytes().await?;
            latencies.push(started.elapsed());
        }
    }
    Ok((overview, stores))
}

/// A percentile of what is sorted, in milliseconds.
fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    let latency = sorted.get(index).copied().unwrap_or_default();
    latency.as_secs_f64() * 1_000.0
}
