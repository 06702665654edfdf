//! What a collector of traces and metrics costs: `cargo bench -p seedbed-tests --bench telemetry`.
//!
//! The same stores are swept again and again, on a private RabbitMQ and Postgres: with no collector named, with one that
//! takes everything, with one that is not there, with one that takes its time, and with one that is full. The
//! ratios are of the medians of rounds that were measured in turn, so that a noisy machine slows all of them. `SEEDBED_BENCH_STORES` and
//! `SEEDBED_BENCH_ROUNDS` set other numbers.

use std::{sync::Arc, time::Duration};

use testkit::{
    cluster::{Cluster, timed_sweep},
    collector::{Behaviour, Collector},
    machine::number,
    servers::RabbitMq,
};

const STORES: usize = 200;
const ROWS: u32 = 200;
const ROUNDS: usize = 5;

/// Which collector the programs are told of.
#[derive(Clone, Copy, PartialEq)]
enum Told {
    Nothing,
    Of(Behaviour),
    OfNobody,
}

const CASES: [(&str, Told); 5] = [
    ("none", Told::Nothing),
    ("takes", Told::Of(Behaviour::Takes)),
    ("down", Told::OfNobody),
    ("slow", Told::Of(Behaviour::Slow(Duration::from_secs(5)))),
    ("full", Told::Of(Behaviour::Full)),
];

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let stores = number("SEEDBED_BENCH_STORES", STORES);
    let rounds = number("SEEDBED_BENCH_ROUNDS", ROUNDS);
    let mut cluster = Cluster::on(Arc::new(RabbitMq::start()), None).await;
    let collector = Collector::start().await;
    cluster.add_stores(stores, ROWS);
    cluster.program.set("LOG__LEVEL", "seedbed_worker=info");
    cluster
        .program
        .set_variable("OTEL_METRIC_EXPORT_INTERVAL", "1000");
    let mut times = vec![Vec::new(); CASES.len()];
    for _ in 0..rounds {
        for (times, (_, told)) in times.iter_mut().zip(CASES) {
            tell(&mut cluster, &collector, told);
            times.push(timed_sweep(&cluster.program, 1, stores).await);
        }
    }
    println!("{stores} stores of {ROWS} rows, {rounds} rounds, medians");
    println!("{:>9} {:>8} {:>6}", "collector", "s", "ratio");
    let medians: Vec<_> = times.into_iter().map(median).collect();
    for ((name, _), median) in CASES.iter().zip(&medians) {
        let ratio = median.as_secs_f64() / medians[0].as_secs_f64();
        println!("{name:>9} {:>8.2} {ratio:>6.3}", median.as_secs_f64());
    }
    println!("spans that came: {}", collector.spans().len());
    Ok(())
}

fn tell(cluster: &mut Cluster, collector: &Collector, told: Told) {
    let endpoint = match told {
        Told::Nothing => String::new(),
        Told::OfNobody => "http://127.0.0.1:9".to_owned(),
        Told::Of(behaviour) => {
            collector.behave(behaviour);
            collector.http_endpoint()
        }
    };
    let program = &mut cluster.program;
    program.set_variable("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
