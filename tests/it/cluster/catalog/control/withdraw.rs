//! Snapshots that are taken back, and what is still made of them.

use chrono::{DateTime, TimeDelta, Utc};
use futures::TryStreamExt;
use seedbed::catalog::{PendingJob, Retention, SnapshotRef, Withdrawal, Withdrawn};
use seedbed_protocol::{
    StoreId,
    manifest::Origin,
    message::{EventKind, SeedEvent},
};

use crate::cluster::catalog::fixture::{Fixture, completed, event, manifest, unchanged};

on_both!(
    a_store_has_the_one_before_again_and_then_none,
    a_run_is_taken_back_whole_and_so_is_what_it_still_makes,
    all_stores_are_taken_back_by_one,
    what_is_made_of_a_withdrawn_snapshot_is_withdrawn_too,
    retention_removes_what_was_withdrawn_and_keeps_what_is_handed_out,
);

async fn withdraw(fixture: &Fixture, which: Withdrawal) -> (u64, u64) {
    let Withdrawn { stores, earlier } = fixture.catalog.withdraw(&which).await.unwrap();
    (stores, earlier)
}

fn store(id: &str) -> Withdrawal {
    Withdrawal::Store(StoreId::new(id).unwrap())
}

async fn a_store_has_the_one_before_again_and_then_none(fixture: Fixture) {
    let first = fixture.seed(&["a", "b"]).await;
    let second = fixture.seed(&["a", "b"]).await;
    let before = fixture.catalog.delivery().await.unwrap().change;
    assert_eq!(withdraw(&fixture, store("a")).await, (1, 1));
    assert_eq!(fixture.live("a").await, Some(first[0].job_id));
    assert_eq!(fixture.live("b").await, Some(second[1].job_id));
    assert!(fixture.catalog.delivery().await.unwrap().change > before);
    // What comes again, or late, does not bring it back.
    fixture.apply(completed(&second[0], 1)).await;
    assert_eq!(fixture.live("a").await, Some(first[0].job_id));
    assert_eq!(withdraw(&fixture, store("a")).await, (1, 0));
    assert_eq!(fixture.live("a").await, None);
    assert_eq!(withdraw(&fixture, store("a")).await, (0, 0));
    let third = fixture.seed(&["a"]).await;
    assert_eq!(fixture.live("a").await, Some(third[0].job_id));
    assert_eq!(withdraw(&fixture, store("a")).await, (1, 0));
    // The copies below latest/ are to be looked at once for each.
    let stale = fixture.catalog.stale_latest(10).await.unwrap();
    assert_eq!(stale.len(), 3);
    for of in stale {
        assert_eq!(of.live, None);
        fixture
            .catalog
            .latest_is_right(&of.withdrawn)
            .await
            .unwrap();
    }
    assert_eq!(fixture.catalog.stale_latest(10).await.unwrap(), []);
}

async fn a_run_is_taken_back_whole_and_so_is_what_it_still_makes(fixture: Fixture) {
    let first = fixture.seed(&["a", "b", "c"]).await;
    let (run_id, jobs) = fixture.run(&["a", "b", "d"]).await;
    for job in [&jobs[0], &jobs[2]] {
        fixture.apply(completed(job, 1)).await;
    }
    assert_eq!(withdraw(&fixture, Withdrawal::Run(run_id)).await, (2, 1));
    fixture.apply(completed(&jobs[1], 1)).await;
    assert_eq!(fixture.state(&jobs[1]).await, "failed");
    for (id, live) in [
        ("a", Some(&first[0])),
        ("b", Some(&first[1])),
        ("c", Some(&first[2])),
        ("d", None),
    ] {
        assert_eq!(fixture.live(id).await, live.map(|job| job.job_id), "{id}");
    }
    let unknown = Withdrawal::Run(seedbed_protocol::RunId::new());
    assert!(
        fixture
            .catalog
            .withdraw(&unknown)
            .await
            .unwrap_err()
            .is_usage()
    );
}

async fn all_stores_are_taken_back_by_one(fixture: Fixture) {
    let first = fixture.seed(&["a", "b"]).await;
    fixture.seed(&["b", "c"]).await;
    assert_eq!(withdraw(&fixture, Withdrawal::All).await, (3, 1));
    let live: Vec<_> = fixture
        .catalog
        .snapshots(None, false)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(live.len(), 1);
    assert_eq!(fixture.live("b").await, Some(first[1].job_id));
}

/// What a worker reports of a job that started from the snapshot of `base`.
fn continued(job: &PendingJob, base: &PendingJob) -> SeedEvent {
    let mut manifest = manifest(job, 1);
    manifest.origin = Origin::Base {
        job_id: base.job_id,
        full_at: Utc::now(),
        loose_operations: 0,
    };
    let manifest = Box::new(manifest);
    event(job, 1, EventKind::Completed { manifest })
}

async fn what_is_made_of_a_withdrawn_snapshot_is_withdrawn_too(fixture: Fixture) {
    let first = fixture.seed(&["a", "b"]).await;
    let second = fixture.seed(&["a", "b"]).await;
    let (_, jobs) = fixture.run(&["a", "b"]).await;
    assert_eq!(withdraw(&fixture, Withdrawal::All).await, (2, 2));
    fixture.apply(continued(&jobs[0], &second[0])).await;
    fixture.apply(unchanged(&jobs[1], &second[1])).await;
    for (job, first) in jobs.iter().zip(&first) {
        assert_eq!(fixture.state(job).await, "failed");
        let store = job.scope.store_id.as_str();
        assert_eq!(fixture.live(store).await, Some(first.job_id));
    }
    // And what continues that.
    let (_, more) = fixture.run(&["a"]).await;
    fixture.apply(continued(&more[0], &jobs[0])).await;
    assert_eq!(fixture.live("a").await, Some(first[0].job_id));
    let (_, right) = fixture.run(&["a"]).await;
    fixture.apply(continued(&right[0], &first[0])).await;
    assert_eq!(fixture.live("a").await, Some(right[0].job_id));
}

async fn retention_removes_what_was_withdrawn_and_keeps_what_is_handed_out(fixture: Fixture) {
    let first = fixture.seed(&["a"]).await;
    let second = fixture.seed(&["a"]).await;
    let third = fixture.seed(&["a"]).await;
    withdraw(&fixture, store("a")).await;
    let retention = |before: DateTime<Utc>| Retention {
        keep: 2,
        superseded_before: before,
        retired_before: before,
    };
    let now = fixture.catalog.now().await.unwrap();
    let young = retention(now - TimeDelta::hours(1));
    assert_eq!(fixture.catalog.deletable(&young).await.unwrap().0, 0);
    let old = retention(now + TimeDelta::hours(1));
    let gone = fixture.catalog.start_deleting(&old, 10).await.unwrap();
    let gone: Vec<_> = gone.iter().map(|of| of.job_id).collect();
    assert_eq!(gone, [third[0].job_id], "two others are kept");
    // One that has lost its objects is not replaced by a withdrawn one.
    let lost = fixture
        .catalog
        .present_snapshots()
        .try_collect::<Vec<SnapshotRef>>()
        .await
        .unwrap();
    let lost = lost
        .iter()
        .find(|of| of.job_id == second[0].job_id)
        .unwrap();
    fixture.catalog.mark_lost(lost).await.unwrap();
    assert_eq!(fixture.live("a").await, Some(first[0].job_id));
}
