//! The catalog stays short by itself, while servers and workers use it.

use testkit::{
    cluster::Cluster,
    program::stop,
    serving::{SERVE, Serving},
    wait,
};

use super::support::{connect, number};

/// Adds 2,000 old jobs to each store, of runs that ended 200 days ago and before.
const OLD: &str = "\
    INSERT INTO runs (id, kind, state, started_at, finished_at) \
    SELECT lpad(to_hex(n / 65536), 8, '0') || '-' || lpad(to_hex(n % 65536), 4, '0') || '-7000-8000-000000000000', \
        'run', 'completed', n, n FROM generate_series(1, 2000) n; \
    INSERT INTO jobs (id, run_id, store_id, position, claims, state, attempt, listed_at, finished_at) \
    SELECT left(runs.id, 24) || lpad(stores.position::text, 12, '0'), runs.id, store_id, position, '{}', 'failed', \
        1, started_at, started_at FROM runs, stores WHERE runs.started_at < 10000";

#[tokio::test(flavor = "multi_thread")]
async fn servers_remove_what_is_long_over_and_keep_what_stores_need() {
    let mut cluster = Cluster::start().await;
    Serving::prepare(&mut cluster.program);
    let stores = cluster.add_stores(4, 5);
    let workers = cluster.start_workers(1);
    let ended = cluster.run(&[]).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    cluster.postgres.execute_in(&cluster.catalog_url, OLD);

    let dry = cluster.program.run(&["gc", "--dry-run", "--json"]).await;
    let forgotten = &dry.objects()[0]["forgotten"];
    // Of each store, the 10 newest stay: that of the run, and 9 old ones.
    assert_eq!(forgotten["jobs"], 4 * (2000 - 9), "{dry}");
    let mut catalog = connect(&cluster.catalog_url).await;
    let count = |table: &str| format!("SELECT COUNT(*) FROM {table}");
    let jobs = number(&mut catalog, &count("jobs")).await;
    assert_eq!(jobs, Some(4 * 2001));

    // Two at once, and a run next to them.
    let servers = [
        Serving::start(&cluster.program, &SERVE).await,
        Serving::start(&cluster.program, &SERVE).await,
    ];
    let again = cluster.run(&[]).await;
    assert_eq!(again.code, Some(0), "{again}");
    // The second run came before that or after it.
    wait::until("old runs are gone", async || {
        let runs = number(&mut catalog, &count("runs")).await;
        runs.is_some_and(|runs| (10..=11).contains(&runs))
    })
    .await;
    let jobs = number(&mut catalog, &count("jobs")).await.unwrap();
    assert!((4 * 10..=4 * 11).contains(&jobs), "{jobs}");
    cluster.assert_seeded(&stores).await;
    let collected = cluster.program.run(&["gc", "--json"]).await;
    assert_eq!(collected.code, Some(0), "{collected}");
    for server in servers {
        server.process.stop().await;
    }
    stop(workers).await;
}
