//! Several coordinators on one catalog: the same result as with one, and no deadlock.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use futures::future::join_all;
use seedbed::catalog::{Applied, Catalog, PendingJob, QueuedJob, Retention};
use seedbed_protocol::message::SeedEvent;

use super::fixture::{FULL_SWEEP, Fixture, completed, failed, list, started};

/// Longer than any of this takes, shorter than the patience of who waits for the tests.
const STUCK: Duration = Duration::from_secs(120);

on_both!(
    coordinators_that_apply_the_same_events_in_other_orders_agree,
    listings_events_retries_and_retention_side_by_side_all_end,
);

/// The same events in another order, the same one for the same `seed`.
fn shuffled(events: &[SeedEvent], seed: u64) -> Vec<SeedEvent> {
    let mut keyed: Vec<(u64, &SeedEvent)> = (seed..)
        .map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29))
        .map(|n| n.wrapping_mul(0xbf58_476d_1ce4_e5b9))
        .zip(events)
        .collect();
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, event)| event.clone()).collect()
}

async fn coordinators_that_apply_the_same_events_in_other_orders_agree(fixture: Fixture) {
    let ids: Vec<String> = (0..40).map(|n| format!("s{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let (_, earlier) = fixture.run(&ids).await;
    for job in &earlier {
        fixture.apply(failed(job, 1, false)).await;
    }
    let (run_id, later) = fixture.run(&ids).await;
    let mut events = Vec::new();
    events.extend(earlier.iter().map(|job| completed(job, 2)));
    for job in &later {
        events.extend([started(job, 1), failed(job, 1, true), started(job, 2)]);
        events.push(completed(job, 2));
    }

    let mut applying = Vec::new();
    for seed in 1..=4 {
        let events = shuffled(&events, seed * 1000);
        applying.push(tokio::spawn(apply_all(fixture.another().await, events)));
    }
    let seeded = tokio::time::timeout(STUCK, join_all(applying)).await;
    let seeded: usize = seeded.unwrap().into_iter().map(Result::unwrap).sum();
    assert_eq!(seeded, later.len(), "each job counts once");
    for (store, job) in ids.iter().zip(&later) {
        assert_eq!(fixture.live(store).await, Some(job.job_id));
    }
    let totals = fixture.catalog.totals(run_id).await.unwrap();
    assert_eq!((totals.stores, totals.seeded, totals.rows), (40, 40, 400));
}

/// Applies events a few at a time; says how many jobs these have seeded.
async fn apply_all(catalog: Catalog, events: Vec<SeedEvent>) -> usize {
    let mut seeded = 0;
    for batch in events.chunks(7) {
        let applied = catalog.apply(batch).await.unwrap();
        let is_seeded = |applied: &&Applied| matches!(applied, Applied::Seeded { .. });
        seeded += applied.iter().filter(is_seeded).count();
    }
    seeded
}

/// Lists runs, publishes them, and lets every third job fail.
async fn coordinate(catalog: Catalog) -> u64 {
    let ids: Vec<String> = (0..60).map(|n| format!("s{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut ended = 0;
    for _ in 0..6 {
        let Some(run_id) = list(&catalog, &ids, FULL_SWEEP).await.run_id else {
            continue;
        };
        let jobs = catalog.listed_jobs(run_id, None, 1000).await.unwrap();
        let deadline = Utc::now() + STUCK;
        let queued = |job: &PendingJob| QueuedJob {
            job_id: job.job_id,
            trace_id: None,
            deadline,
        };
        let published: Vec<QueuedJob> = jobs.iter().map(queued).collect();
        catalog.mark_queued(&published).await.unwrap();
        let events: Vec<SeedEvent> = jobs
            .iter()
            .enumerate()
            .map(|(n, job)| match n % 3 {
                0 => failed(job, 1, false),
                _ => completed(job, 1),
            })
            .collect();
        for batch in shuffled(&events, ended).chunks(16) {
            ended += catalog.apply(batch).await.unwrap().len() as u64;
        }
        catalog.finish_runs().await.unwrap();
    }
    ended
}

/// Retries what failed, lets it succeed, and deletes what is superseded.
async fn repair(catalog: Catalog) -> u64 {
    let mut marked = 0;
    for _ in 0..12 {
        let retried = catalog.retry_failed(None, &[]).await.unwrap();
        for run_id in retried.runs {
            let jobs = catalog.listed_jobs(run_id, None, 1000).await.unwrap();
            let events: Vec<_> = jobs.iter().map(|job| completed(job, 1)).collect();
            catalog.apply(&events).await.unwrap();
        }
        let retention = Retention {
            keep: 1,
            superseded_before: Utc::now(),
            retired_before: Utc::now(),
        };
        let deleting = catalog.start_deleting(&retention, 50).await.unwrap();
        catalog.mark_deleted(&deleting).await.unwrap();
        catalog.expire_jobs(STUCK, TimeDelta::zero()).await.unwrap();
        marked += deleting.len() as u64;
    }
    marked
}

async fn listings_events_retries_and_retention_side_by_side_all_end(fixture: Fixture) {
    let mut tasks = Vec::new();
    for _ in 0..3 {
        tasks.push(tokio::spawn(coordinate(fixture.another().await)));
        tasks.push(tokio::spawn(repair(fixture.another().await)));
    }
    let done = tokio::time::timeout(STUCK, join_all(tasks))
        .await
        .expect("nobody waits for ever");
    let done: Vec<u64> = done.into_iter().map(Result::unwrap).collect();
    assert!(done.iter().sum::<u64>() > 0);

    repair(fixture.another().await).await;
    let in_flight = fixture.catalog.jobs_in_flight(1000).await.unwrap();
    assert!(in_flight.is_empty(), "{in_flight:?}");
    for n in 0..60 {
        assert!(fixture.live(&format!("s{n}")).await.is_some());
    }
}
