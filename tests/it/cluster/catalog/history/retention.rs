//! Which snapshots may go, what belongs to them, and how the catalog comes back from manifests.

use std::collections::HashSet;

use chrono::{TimeDelta, Utc};
use futures::TryStreamExt;
use seedbed::catalog::{PendingJob, Retention, SnapshotRef};
use seedbed_protocol::JobId;

use crate::cluster::catalog::fixture::{FULL_SWEEP, Fixture, SKIP, completed, failed, manifest};

on_both!(
    superseded_snapshots_beyond_those_to_keep_may_go_when_they_are_old_enough,
    all_snapshots_of_a_retired_store_may_go_in_time,
    a_killed_deletion_goes_on,
    the_objects_of_jobs_are_known,
    a_lost_live_snapshot_is_replaced_by_the_newest_that_remains,
    manifests_rebuild_the_catalog_in_any_order,
    a_sample_holds_live_snapshots_of_stores_that_there_are,
);

/// As if `days` had passed.
fn retention(keep: u32, days: i64) -> Retention {
    let time = Utc::now() + TimeDelta::days(days);
    Retention {
        keep,
        superseded_before: time,
        retired_before: time,
    }
}

/// Marks what may go, which is as much as was counted before.
async fn start_deleting(fixture: &Fixture, retention: Retention) -> Vec<SnapshotRef> {
    let counted = fixture.catalog.deletable(&retention).await.unwrap();
    let marked = fixture.catalog.start_deleting(&retention, 100).await;
    let marked = marked.unwrap();
    let bytes: u64 = marked.iter().map(|snapshot| snapshot.bytes).sum();
    assert_eq!(counted, (marked.len() as u64, bytes));
    marked
}

fn ids(snapshots: &[SnapshotRef]) -> HashSet<JobId> {
    snapshots.iter().map(|snapshot| snapshot.job_id).collect()
}

async fn superseded_snapshots_beyond_those_to_keep_may_go_when_they_are_old_enough(
    fixture: Fixture,
) {
    let one = fixture.seed(&["a"]).await;
    let two = fixture.seed(&["a"]).await;
    let three = fixture.seed(&["a", "b"]).await;
    assert!(start_deleting(&fixture, retention(1, -1)).await.is_empty());
    let marked = start_deleting(&fixture, retention(2, 1)).await;
    assert_eq!(ids(&marked), HashSet::from([one[0].job_id]));
    let stem = format!("s/{}-1-0a0b0c0d", one[0].job_id);
    assert_eq!(marked[0].manifest(), Some(&format!("{stem}.json")));
    assert_eq!(marked[0].files(), [format!("{stem}.sqlite")]);
    // What was marked before is told again; the live ones stay even if none is to be kept.
    let marked = start_deleting(&fixture, retention(0, 1)).await;
    assert_eq!(ids(&marked), HashSet::from([one[0].job_id, two[0].job_id]));
    assert_eq!(fixture.live("a").await, Some(three[0].job_id));
    assert_eq!(fixture.live("b").await, Some(three[1].job_id));
}

async fn all_snapshots_of_a_retired_store_may_go_in_time(fixture: Fixture) {
    let one = fixture.seed(&["a", "b"]).await;
    let two = fixture.seed(&["a"]).await;
    fixture.list(&["b"], FULL_SWEEP).await;
    assert_eq!(fixture.live("a").await, None, "nobody is sent to it");
    assert!(start_deleting(&fixture, retention(9, -1)).await.is_empty());
    // The store comes back before anything was deleted.
    fixture.list(&["a"], SKIP).await;
    assert!(start_deleting(&fixture, retention(9, 1)).await.is_empty());
    assert_eq!(fixture.live("a").await, Some(two[0].job_id));
    fixture.list(&["b"], FULL_SWEEP).await;
    let marked = start_deleting(&fixture, retention(9, 1)).await;
    assert_eq!(ids(&marked), HashSet::from([one[0].job_id, two[0].job_id]));
}

async fn a_killed_deletion_goes_on(fixture: Fixture) {
    let old = fixture.seed(&["a"]).await;
    fixture.seed(&["a"]).await;
    let marked = start_deleting(&fixture, retention(1, 1)).await;
    assert_eq!(ids(&marked), HashSet::from([old[0].job_id]));
    let another = fixture.another().await;
    let nothing_new = retention(9, -1);
    let again = another.start_deleting(&nothing_new, 10).await.unwrap();
    assert_eq!(again, marked);
    assert_eq!(fixture.snapshot_state(&old[0]).await, "deleting");
    fixture.catalog.mark_deleted(&marked).await.unwrap();
    assert_eq!(fixture.snapshot_state(&old[0]).await, "deleted");
    assert!(start_deleting(&fixture, retention(1, 1)).await.is_empty());
    // Its event comes once more: what is gone stays gone.
    fixture.apply(completed(&old[0], 1)).await;
    assert_eq!(fixture.snapshot_state(&old[0]).await, "deleted");
}

async fn the_objects_of_jobs_are_known(fixture: Fixture) {
    let (_, jobs) = fixture.run(&["a", "b"]).await;
    fixture.apply(completed(&jobs[0], 1)).await;
    let unknown = JobId::new();
    let asked = HashSet::from([jobs[0].job_id, jobs[1].job_id, unknown]);
    let objects = fixture.catalog.objects_of(&asked).await.unwrap();
    assert!(!objects.contains_key(&unknown));
    let (ended, in_flight) = (&objects[&jobs[0].job_id], &objects[&jobs[1].job_id]);
    assert!(!ended.in_flight && in_flight.in_flight);
    assert_eq!((ended.keys.len(), in_flight.keys.len()), (2, 0));
    let present = fixture.catalog.present_snapshots();
    let present: Vec<_> = present.try_collect().await.unwrap();
    assert_eq!(present.len(), 1);
    assert_eq!(
        (present[0].job_id, present[0].state.name()),
        (jobs[0].job_id, "live")
    );
}

async fn a_lost_live_snapshot_is_replaced_by_the_newest_that_remains(fixture: Fixture) {
    let one = fixture.seed(&["a"]).await;
    let two = fixture.seed(&["a"]).await;
    let three = fixture.seed(&["a"]).await;
    let present: Vec<SnapshotRef> = fixture
        .catalog
        .present_snapshots()
        .try_collect()
        .await
        .unwrap();
    let lose = |job: &PendingJob| {
        let snapshot = present.iter().find(|s| s.job_id == job.job_id).unwrap();
        fixture.catalog.mark_lost(snapshot)
    };
    lose(&one[0]).await.unwrap();
    assert_eq!(fixture.live("a").await, Some(three[0].job_id));
    lose(&three[0]).await.unwrap();
    assert_eq!(fixture.live("a").await, Some(two[0].job_id));
    lose(&two[0]).await.unwrap();
    lose(&two[0]).await.unwrap();
    assert_eq!(fixture.live("a").await, None);
}

async fn manifests_rebuild_the_catalog_in_any_order(fixture: Fixture) {
    let old = fixture.seed(&["a"]).await;
    let (run_id, jobs) = fixture.run(&["a", "b"]).await;
    fixture.apply(failed(&jobs[0], 1, false)).await;
    fixture.apply(completed(&jobs[1], 1)).await;
    let retried = fixture.catalog.retry_failed(None, &[]).await.unwrap();
    let again = fixture.listed(*retried.runs.first().unwrap()).await;

    // Also the job that was retried has left a snapshot: its event was lost.
    let manifests = [&again[0], &old[0], &jobs[1], &jobs[0]].map(|job| manifest(job, 1));
    let rebuilt = Fixture::sqlite().await;
    for manifest in &manifests {
        assert!(rebuilt.catalog.restore(manifest).await.unwrap());
        assert!(!rebuilt.catalog.restore(manifest).await.unwrap());
    }
    assert_eq!(rebuilt.live("a").await, Some(again[0].job_id));
    assert_eq!(rebuilt.live("b").await, Some(jobs[1].job_id));
    let totals = rebuilt.catalog.totals(run_id).await.unwrap();
    assert_eq!((totals.stores, totals.seeded), (2, 2));
    // What is known stays; what is not is added.
    assert!(!fixture.catalog.restore(&manifests[1]).await.unwrap());
    assert!(fixture.catalog.restore(&manifests[3]).await.unwrap());
    assert_eq!(fixture.live("a").await, Some(jobs[0].job_id));
    assert_eq!(rebuilt.list(&["b"], FULL_SWEEP).await.retired, 1);
}

async fn a_sample_holds_live_snapshots_of_stores_that_there_are(fixture: Fixture) {
    fixture.seed(&["a", "b", "c"]).await;
    fixture.seed(&["a", "b"]).await;
    fixture.list(&["a", "b"], FULL_SWEEP).await;
    let sample = fixture.catalog.sample_live(10).await.unwrap();
    let mut stores: Vec<_> = sample.iter().map(|m| m.store_id.to_string()).collect();
    stores.sort();
    assert_eq!(stores, ["a", "b"]);
    assert_eq!(fixture.catalog.sample_live(1).await.unwrap().len(), 1);
}
