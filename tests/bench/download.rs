//! What clients get: `cargo bench -p seedbed-tests --bench download`.
//!
//! A `seedbed serve` with live snapshots of 10,000 stores in its catalog, on SQLite and then on Postgres. Clients keep
//! their connections and ask GET /database for stores at random, each with a token of its own. After that an
//! administrator looks at the first page of stores and at the overview. All of it shares one machine, so that the rates
//! are what a server can do at least. `SEEDBED_BENCH_STORES` and `SEEDBED_BENCH_REQUESTS` make it smaller.

use std::time::{Duration, Instant};

use anyhow::Context;
use chrono::Utc;
use futures::future::try_join_all;
use rand::Rng;
use reqwest::{Client, StatusCode};
use seedbed::catalog::{self, Catalog, Covers, InFlight, PendingJob, RunKind, Sweep};
use seedbed_protocol::{
    Attempt, JsonObject, StoreId,
    message::{EventKind, Scope, SeedEvent},
};
use testkit::{
    cluster::{Cluster, manifest},
    machine::number,
    serving::{ADMIN_TOKEN, Serving, client_token, database_path},
};

/// Connections at a time.
const CLIENTS: u64 = 32;

/// Looks of an administrator, of which the median counts.
const LOOKS: usize = 20;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let stores = number("SEEDBED_BENCH_STORES", 10_000);
    let requests = number("SEEDBED_BENCH_REQUESTS", 50_000);
    println!(
        "{:>9} {:>8} {:>9} {:>11} {:>8} {:>8} {:>7} {:>13} {:>13}",
        "catalog",
        "stores",
        "requests",
        "requests/s",
        "p50 ms",
        "p99 ms",
        "errors",
        "stores page ms",
        "overview ms"
    );
    for catalog in ["sqlite", "postgres"] {
        measure(catalog, stores, requests).await?;
    }
    Ok(())
}

/// Fills a catalog, serves it, asks, and prints a line.
async fn measure(name: &str, stores: u64, requests: u64) -> anyhow::Result<()> {
    let mut cluster = Cluster::start().await;
    if name == "sqlite" {
        cluster.catalog_url = format!("sqlite:{}", cluster.program.path("catalog.db").display());
        let url = cluster.catalog_url.clone();
        cluster.program.set("CATALOG__URL", url);
    }
    cluster.program.set("SERVE__RATE_LIMIT", "0");
    Serving::prepare(&mut cluster.program);
    cluster.list(&[]);
    fill(&cluster.catalog().await, stores).await?;
    let serving = Serving::start(&cluster.program, &["serve", "--stores", "stores.ndjson"]).await;

    let started = Instant::now();
    let clients = (0..CLIENTS).map(|_| ask(&serving.url, stores, requests / CLIENTS));
    let asked = try_join_all(clients).await?;
    let took = started.elapsed();
    let errors: u64 = asked.iter().map(|(_, errors)| errors).sum();
    let mut latencies: Vec<Duration> = asked.into_iter().flat_map(|(times, _)| times).collect();
    latencies.sort();
    let answered = latencies.len();
    println!(
        "{name:>9} {stores:>8} {answered:>9} {:>11.0} {:>8.2} {:>8.2} {errors:>7} {:>13.1} {:>13.1}",
        answered as f64 / took.as_secs_f64(),
        millis(&latencies, 50),
        millis(&latencies, 99),
        look(&serving, "/api/stores").await?,
        look(&serving, "/api/overview").await?,
    );
    Ok(())
}

/// Gives each store a live snapshot, as a run over all of them does.
async fn fill(catalog: &Catalog, stores: u64) -> anyhow::Result<()> {
    let mut listing = catalog
        .list_run(Sweep {
            kind: RunKind::Run,
            in_flight: InFlight::Refuse,
            only_older_than: None,
            covers: Covers::All,
            allow_fewer: false,
            download: catalog::Download::Changed,
            skip_unchanged: false,
            quarantine: None,
        })
        .await?;
    for number in 1..=stores {
        let scope = Scope {
            store_id: StoreId::new(format!("store-{number}"))?,
            claims: JsonObject::default(),
        };
        listing.add(scope, number).await?;
    }
    let listed = listing.commit().await?;
    let run_id = listed.run_id.context("there are stores")?;
    let jobs = catalog
        .listed_jobs(run_id, None, i64::from(i32::MAX))
        .await?;
    for jobs in jobs.chunks(100) {
        let events: Vec<SeedEvent> = jobs.iter().map(completed).collect();
        catalog.apply(&events).await?;
    }
    catalog.finish_runs().await?;
    catalog.close().await;
    Ok(())
}

fn completed(job: &PendingJob) -> SeedEvent {
    let store_id = job.scope.store_id.clone();
    let manifest = manifest(job, Attempt::FIRST);
    SeedEvent {
        run_id: job.run_id,
        job_id: job.job_id,
        store_id,
        attempt: Attempt::FIRST,
        at: Utc::now(),
        worker: "bench".to_owned(),
        kind: EventKind::Completed {
            manifest: Box::new(manifest),
        },
        steps: Vec::new(),
    }
}

/// Asks for stores at random, one after the other. Answers how long each took, and how many were refused.
async fn ask(url: &str, stores: u64, requests: u64) -> anyhow::Result<(Vec<Duration>, u64)> {
    let client = Client::new();
    let mut latencies = Vec::new();
    let mut errors = 0;
    for _ in 0..requests {
        let store = format!("store-{}", rand::rng().random_range(1..=stores));
        let token = client_token(serde_json::json!({ "store_id": store }));
        let request = client.get(format!("{url}{}", database_path(&store)));
        let started = Instant::now();
        let answer = request.bearer_auth(token).send().await?;
        let status = answer.status();
        answer.bytes().await?;
        latencies.push(started.elapsed());
        errors += u64::from(status != StatusCode::OK);
    }
    Ok((latencies, errors))
}

/// How long an administrator waits for `path`, in milliseconds.
async fn look(serving: &Serving, path: &str) -> anyhow::Result<f64> {
    let mut latencies = Vec::new();
    for _ in 0..LOOKS {
        let started = Instant::now();
        let answer = serving.get(path, Some(ADMIN_TOKEN)).await;
        anyhow::ensure!(answer.status == StatusCode::OK, "{answer:?}");
        latencies.push(started.elapsed());
    }
    latencies.sort();
    Ok(millis(&latencies, 50))
}

/// A percentile of what is sorted, in milliseconds.
fn millis(sorted: &[Duration], percent: usize) -> f64 {
    let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    let latency = sorted.get(index).copied().unwrap_or_default();
    latency.as_secs_f64() * 1_000.0
}
