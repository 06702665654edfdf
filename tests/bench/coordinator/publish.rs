//! What publishing costs: `cargo bench -p seedbed-tests --bench publish`.
//!
//! Publishes jobs to a private RabbitMQ, first each after the confirm of the one before, then many at once over
//! the same connection. The ratio is of rates measured in the same run, so that it means the same on a slow
//! machine. The server keeps data in a temporary directory, which may be faster than a disk.

use std::time::{Duration, Instant};

use anyhow::Context;
use chrono::Utc;
use futures::{StreamExt, TryStreamExt, stream};
use seedbed_protocol::{
    Attempt, JobId, JsonObject, RunId, StoreId,
    broker::{Broker, BrokerConfig, BrokerUrl, Message, Queue, connect},
    manifest::FullReason,
    message::{Scope, SeedJob, Start},
    telemetry::trace::TraceContext,
};
use testkit::servers::RabbitMq;

const PIPELINED: u32 = 20_000;

/// Enough for a rate, and few enough for a run of a minute.
const ONE_BY_ONE: u32 = 2_000;

/// Calls of `publish` at once, as many as a coordinator makes.
const AT_ONCE: usize = 1_000;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let rabbitmq = RabbitMq::start();
    let broker = connect(&BrokerConfig::new(BrokerUrl::new(&rabbitmq.url())?)).await?;
    println!(
        "{:>12} {:>9} {:>8} {:>11} {:>11} {:>12} {:>12}",
        "confirms", "messages", "s", "messages/s", "before MiB", "after MiB", "peak MiB"
    );
    let one_by_one = measure("one by one", &*broker, ONE_BY_ONE, 1).await?;
    let pipelined = measure("pipelined", &*broker, PIPELINED, AT_ONCE).await?;
    // Once more, to see whether memory keeps growing.
    measure("pipelined", &*broker, PIPELINED, AT_ONCE).await?;
    println!("ratio {:.1}", pipelined / one_by_one);
    broker.close().await;
    Ok(())
}

/// Publishes, prints a line, and answers the rate in messages a second.
async fn measure(
    confirms: &str,
    broker: &dyn Broker,
    messages: u32,
    at_once: usize,
) -> anyhow::Result<f64> {
    let before = memory("VmRSS:")?;
    let started = Instant::now();
    stream::iter(0..messages)
        .map(|number| async move {
            let message = Message::job(&job(number)?, TraceContext::default())?;
            anyhow::Ok(broker.publish(Queue::Jobs, message).await?)
        })
        .buffer_unordered(at_once)
        .try_collect::<()>()
        .await?;
    let took: Duration = started.elapsed();
    let rate = f64::from(messages) / took.as_secs_f64();
    println!(
        "{confirms:>12} {messages:>9} {:>8.2} {rate:>11.0} {before:>11.1} {:>12.1} {:>12.1}",
        took.as_secs_f64(),
        memory("VmRSS:")?,
        memory("VmHWM:")?,
    );
    Ok(rate)
}

fn job(number: u32) -> anyhow::Result<SeedJob> {
    let claims = serde_json::json!({ "store_id": number, "region": "eu-central" });
    Ok(SeedJob {
        run_id: RunId::new(),
        job_id: JobId::new(),
        scope: Scope {
            store_id: StoreId::new(format!("store-{number}"))?,
            claims: JsonObject(claims.as_object().cloned().unwrap_or_default()),
        },
        parameters: JsonObject::default(),
        default_streams: true,
        subscriptions: Vec::new(),
        attempt: Attempt::FIRST,
        deadline: Utc::now() + Duration::from_secs(3600),
        start: Start::Full(FullReason::First),
    })
}

/// A line of `/proc/self/status`, in MiB.
fn memory(line: &str) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let value = status.lines().find_map(|text| text.strip_prefix(line));
    let value = value.context("Linux tells a process its memory")?;
    Ok(value.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
}
