//! Scheduled times and runs that are claimed by one coordinator, and taken over from one that is gone. The clock of
//! claims is the database's.

use std::time::{Duration, Instant};

use chrono::Utc;
use seedbed::catalog::RunState;
use testkit::{cluster::Cluster, program::stop, serving::Serving, wait};

use super::support::{HeldList, NOW, connect, number, schedule_soon, serve, set_clock, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_run_whose_coordinator_was_killed_before_its_list_was_committed_is_listed_by_another()
 {
    let mut cluster = Cluster::start().await;
    Serving::prepare(&mut cluster.program);
    let stores = cluster.add_stores(3, 5);
    let list = HeldList::of(&mut cluster, &stores).await;
    schedule_soon(&mut cluster.program).await;
    let mut catalog = connect(&cluster.catalog_url).await;
    let killed = serve(&cluster).await;
    until(&mut catalog, "SELECT COUNT(*) FROM schedule_claims").await;
    assert!(killed.process.kill().await);
    let since = Instant::now();
    list.release().await;

    let server = serve(&cluster).await;
    let workers = cluster.start_workers(1);
    until(&mut catalog, "SELECT COUNT(*) FROM runs").await;
    assert!(since.elapsed() < Duration::from_secs(60));
    let done = "SELECT COUNT(*) FROM runs WHERE state = 'completed'";
    until(&mut catalog, done).await;
    assert_eq!(
        number(&mut catalog, "SELECT COUNT(*) FROM runs").await,
        Some(1)
    );
    let left = number(&mut catalog, "SELECT COUNT(*) FROM schedule_claims").await;
    assert_eq!(left, Some(0));
    cluster.assert_seeded(&stores).await;
    server.process.stop().await;
    stop(workers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn coordinators_whose_clocks_are_wrong_by_ten_minutes_keep_to_one_claim() {
    let mut cluster = Cluster::start().await;
    Serving::prepare(&mut cluster.program);
    let stores = cluster.add_stores(3, 5);
    let list = HeldList::of(&mut cluster, &stores).await;
    let due = schedule_soon(&mut cluster.program).await;
    set_clock(&mut cluster.program, "-10m");
    let slow = serve(&cluster).await;
    set_clock(&mut cluster.program, "+10m");
    let fast = serve(&cluster).await;
    let mut catalog = connect(&cluster.catalog_url).await;
    until(&mut catalog, "SELECT COUNT(*) FROM schedule_claims").await;
    assert!(Utc::now() >= due, "it was claimed by a wrong clock");

    // Whoever has it renews it, and the other never takes it.
    let holder = "SELECT COUNT(DISTINCT holder) FROM schedule_claims \
         WHERE lease_until > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)";
    let first = number(&mut catalog, "SELECT MAX(lease_until) FROM schedule_claims").await;
    wait::until("the lease is renewed three times", async || {
        assert_eq!(number(&mut catalog, holder).await, Some(1));
        let lease = number(&mut catalog, "SELECT MAX(lease_until) FROM schedule_claims").await;
        lease > first.map(|first| first + 14_000)
    })
    .await;
    list.release().await;
    let runs = "SELECT COUNT(*) FROM runs";
    until(&mut catalog, runs).await;
    let published = "SELECT COUNT(*) FROM runs \
         WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE state = 'listed')";
    until(&mut catalog, published).await;
    assert_eq!(number(&mut catalog, runs).await, Some(1));
    let started = format!("SELECT {NOW} - MIN(started_at) FROM runs");
    let started = number(&mut catalog, &started).await.unwrap();
    assert!((0..300_000).contains(&started), "{started} ms ago");
    for server in [slow, fast] {
        let ended = server.process.stop().await;
        let took_over = ended.error.contains("taking over") || ended.output.contains("taking over");
        assert!(!took_over, "{ended}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_whose_clock_is_ahead_waits_for_the_lease_of_another_publisher() {
    let mut cluster = Cluster::start().await;
    Serving::prepare(&mut cluster.program);
    let stores = cluster.add_stores(2, 5);
    let listed = cluster.run(&["--no-wait"]).await;
    assert_eq!(listed.code, Some(0), "{listed}");
    let catalog = cluster.catalog().await;
    let run_id = catalog.runs(1).await.unwrap()[0].run_id;
    let mut database = connect(&cluster.catalog_url).await;
    // As if the command had been killed before it published.
    sqlx::raw_sql("UPDATE jobs SET state = 'listed'")
        .execute(&mut database)
        .await
        .unwrap();
    let lease = Duration::from_secs(6);
    assert!(catalog.lease_run(run_id, "killed", lease).await.unwrap());
    let lease_until = number(&mut database, "SELECT MAX(lease_until) FROM runs").await;
    set_clock(&mut cluster.program, "+10m");
    let server = Serving::start(&cluster.program, &testkit::serving::SERVE).await;
    let published = "SELECT COUNT(*) FROM jobs WHERE state <> 'listed'";
    until(&mut database, published).await;
    let now = number(&mut database, &format!("SELECT {NOW}")).await;
    assert!(
        now >= lease_until,
        "published {now:?}, leased until {lease_until:?}"
    );

    set_clock(&mut cluster.program, "+0");
    let workers = cluster.start_workers(1);
    wait::until("the run ends", async || {
        catalog.runs(1).await.unwrap()[0].state == RunState::Completed
    })
    .await;
    cluster.assert_seeded(&stores).await;
    server.process.stop().await;
    stop(workers).await;
}
