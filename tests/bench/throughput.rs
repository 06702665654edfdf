//! What more workers bring: `cargo bench -p seedbed-tests --bench throughput`.
//!
//! The same small stores, swept by 1, 2 and 4 processes of `seedbed-worker` with one slot each, on a private
//! RabbitMQ and Postgres. The ratios are of rates measured in the same run. Everything shares one machine, the
//! stand-in service in this process as well: with fewer cores than processes, the cores are the limit.

use std::sync::Arc;

use testkit::{
    cluster::{Cluster, timed_sweep},
    servers::RabbitMq,
};

const WORKERS: [usize; 3] = [1, 2, 4];

/// Enough to outlast the start of a run, and few enough for one worker to seed within a minute.
const STORES: usize = 200;

const ROWS: u32 = 50;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut cluster = Cluster::on(Arc::new(RabbitMq::start()), None).await;
    cluster.program.set("WORKER__SLOTS", "1");
    cluster.program.set("LOG__LEVEL", "seedbed_worker=info");
    cluster.add_stores(STORES, ROWS);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("{STORES} stores of {ROWS} rows, on {cores} cores");
    println!(
        "{:>8} {:>8} {:>9} {:>6}",
        "workers", "s", "stores/s", "ratio"
    );
    let mut alone = None;
    for count in WORKERS {
        let took = timed_sweep(&cluster.program, count, STORES).await;
        let rate = STORES as f64 / took.as_secs_f64();
        let ratio = rate / *alone.get_or_insert(rate);
        println!(
            "{count:>8} {:>8.2} {rate:>9.1} {ratio:>6.2}",
            took.as_secs_f64()
        );
    }
    Ok(())
}
