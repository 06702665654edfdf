//! What workers report: counted once, in any order, and nothing newer is ever replaced.

mod together;

use futures::TryStreamExt;
use seedbed::catalog::{Applied, SnapshotState};
use seedbed_protocol::{JobId, OpId, StoreId, message::EventKind};

use super::fixture::{Fixture, completed, failed, started};

on_both!(
    an_event_that_is_applied_twice_changes_nothing,
    a_late_start_does_not_reopen_a_job,
    a_late_snapshot_of_an_earlier_job_or_try_does_not_replace_a_newer_one,
    after_the_service_was_restored_a_later_job_wins_with_lower_op_ids,
    a_failed_job_keeps_the_older_snapshot_and_its_reason,
    a_snapshot_counts_although_another_try_failed_for_good,
    nothing_that_is_reported_about_an_abandoned_job_counts,
    an_event_of_an_unknown_job_is_told_apart,
    a_manifest_of_another_job_is_told_apart_and_stops_no_other_event,
    text_that_postgres_cannot_hold_is_recorded_nevertheless,
    a_damaged_live_manifest_is_named_briefly_and_replaced,
);

async fn an_event_that_is_applied_twice_changes_nothing(fixture: Fixture) {
    let (run_id, jobs) = fixture.run(&["a"]).await;
    let (rows, bytes) = (10, 4096);
    let event = completed(&jobs[0], 1);
    let twice = [event.clone(), event.clone()];
    let applied = fixture.catalog.apply(&twice).await.unwrap();
    let seeded = Applied::Seeded {
        rows,
        bytes,
        operations: 0,
    };
    assert_eq!(applied, [seeded, Applied::Ignored]);
    assert_eq!(fixture.apply(event).await, Applied::Ignored);
    let totals = fixture.catalog.totals(run_id).await.unwrap();
    assert_eq!((totals.seeded, totals.rows, totals.bytes), (1, 10, 4096));
    assert_eq!(fixture.live("a").await, Some(jobs[0].job_id));
}

async fn a_late_start_does_not_reopen_a_job(fixture: Fixture) {
    let (_, jobs) = fixture.run(&["a", "b"]).await;
    fixture.apply(completed(&jobs[0], 1)).await;
    assert_eq!(fixture.apply(started(&jobs[0], 1)).await, Applied::Ignored);
    assert_eq!(fixture.state(&jobs[0]).await, "completed");

    fixture.apply(failed(&jobs[1], 1, true)).await;
    assert_eq!(fixture.apply(started(&jobs[1], 1)).await, Applied::Ignored);
    assert_eq!(fixture.state(&jobs[1]).await, "queued");
    assert_eq!(fixture.apply(started(&jobs[1], 2)).await, Applied::Noted);
    let late = fixture.apply(failed(&jobs[1], 1, true)).await;
    assert_eq!(late, Applied::Ignored);
    assert_eq!(fixture.state(&jobs[1]).await, "running");
}

async fn a_late_snapshot_of_an_earlier_job_or_try_does_not_replace_a_newer_one(fixture: Fixture) {
    let (_, earlier) = fixture.run(&["a"]).await;
    fixture.apply(failed(&earlier[0], 2, false)).await;
    let later = fixture.seed(&["a"]).await;
    fixture.apply(completed(&earlier[0], 1)).await;
    assert_eq!(fixture.live("a").await, Some(later[0].job_id));
    assert_eq!(fixture.state(&earlier[0]).await, "completed");

    let (_, tried) = fixture.run(&["a"]).await;
    fixture.apply(completed(&tried[0], 2)).await;
    fixture.apply(completed(&tried[0], 1)).await;
    let store_id = StoreId::new("a").unwrap();
    let live = fixture.catalog.live_snapshot(&store_id).await.unwrap();
    let live = live.unwrap().manifest;
    assert_eq!((live.job_id, live.attempt.get()), (tried[0].job_id, 2));

    let all = fixture.catalog.snapshots(None, true);
    let all: Vec<_> = all.try_collect().await.unwrap();
    let live = all
        .iter()
        .filter(|record| record.state == SnapshotState::Live)
        .count();
    assert_eq!((all.len(), live), (4, 1));
}

async fn after_the_service_was_restored_a_later_job_wins_with_lower_op_ids(fixture: Fixture) {
    let (_, before) = fixture.run(&["a"]).await;
    let mut event = completed(&before[0], 1);
    if let EventKind::Completed { manifest } = &mut event.kind {
        manifest.checkpoint.last_op_id = OpId(1_000_000);
    }
    fixture.apply(event).await;
    let restored = fixture.seed(&["a"]).await;
    assert_eq!(fixture.live("a").await, Some(restored[0].job_id));
}

async fn a_failed_job_keeps_the_older_snapshot_and_its_reason(fixture: Fixture) {
    let old = fixture.seed(&["a"]).await;
    let (run_id, jobs) = fixture.run(&["a"]).await;
    let applied = [(1, true), (2, false), (2, false)].map(|(n, retry)| failed(&jobs[0], n, retry));
    let applied = fixture.catalog.apply(&applied).await.unwrap();
    assert_eq!(applied, [Applied::Noted, Applied::Failed, Applied::Ignored]);
    assert_eq!(fixture.live("a").await, Some(old[0].job_id));
    let failures = fixture.catalog.failed_jobs(run_id, 20).await.unwrap();
    assert_eq!(failures[0].attempts, 2);
    assert_eq!(failures[0].message.as_deref(), Some("try 2 failed"));
    fixture.catalog.finish_runs().await.unwrap();
    assert_eq!(fixture.run_state(run_id).await, "failed");
}

async fn a_snapshot_counts_although_another_try_failed_for_good(fixture: Fixture) {
    let (_, jobs) = fixture.run(&["a"]).await;
    fixture.apply(failed(&jobs[0], 2, false)).await;
    let applied = fixture.apply(completed(&jobs[0], 1)).await;
    assert_eq!(applied, Applied::Ignored);
    assert_eq!(fixture.state(&jobs[0]).await, "completed");
    assert_eq!(fixture.live("a").await, Some(jobs[0].job_id));
}

async fn nothing_that_is_reported_about_an_abandoned_job_counts(fixture: Fixture) {
    let (run_id, jobs) = fixture.run(&["a", "b"]).await;
    fixture.apply(completed(&jobs[1], 1)).await;
    let in_flight = fixture.catalog.jobs_in_flight(10).await.unwrap();
    assert_eq!(in_flight.len(), 1);
    fixture.catalog.abandon_jobs(&in_flight).await.unwrap();
    fixture.catalog.finish_runs().await.unwrap();
    let applied = fixture.apply(completed(&jobs[0], 1)).await;
    assert_eq!(applied, Applied::Ignored);
    assert_eq!(fixture.live("a").await, None);
    let totals = fixture.catalog.totals(run_id).await.unwrap();
    assert_eq!((totals.abandoned, totals.seeded), (1, 1));
    assert_eq!(fixture.run_state(run_id).await, "abandoned");
}

async fn an_event_of_an_unknown_job_is_told_apart(fixture: Fixture) {
    let (_, jobs) = fixture.run(&["a"]).await;
    let mut foreign = started(&jobs[0], 1);
    foreign.job_id = JobId::new();
    assert_eq!(fixture.apply(foreign).await, Applied::UnknownJob);
}

async fn a_manifest_of_another_job_is_told_apart_and_stops_no_other_event(fixture: Fixture) {
    let (_, jobs) = fixture.run(&["a", "b"]).await;
    let mut wrong = completed(&jobs[0], 1);
    if let EventKind::Completed { manifest } = &mut wrong.kind {
        manifest.job_id = JobId::new();
    }
    let events = [wrong, completed(&jobs[1], 1)];
    let applied = fixture.catalog.apply(&events).await.unwrap();
    assert_eq!(applied[0], Applied::UnknownJob);
    assert_eq!(fixture.live("b").await, Some(jobs[1].job_id));
}

async fn text_that_postgres_cannot_hold_is_recorded_nevertheless(fixture: Fixture) {
    let (run_id, jobs) = fixture.run(&["a"]).await;
    let mut event = failed(&jobs[0], 1, false);
    if let EventKind::Failed(failure) = &mut event.kind {
        failure.message = "a\0b".to_owned();
    }
    assert_eq!(fixture.apply(event).await, Applied::Failed);
    let failures = fixture.catalog.failed_jobs(run_id, 20).await.unwrap();
    assert_eq!(failures[0].message.as_deref(), Some("a\u{fffd}b"));
}

async fn a_damaged_live_manifest_is_named_briefly_and_replaced(fixture: Fixture) {
    let jobs = fixture.seed(&["a"]).await;
    let damage = format!("UPDATE snapshots SET manifest = '{}'", "ü".repeat(500));
    fixture.execute(&damage).await;
    let store_id = StoreId::new("a").unwrap();
    let error = fixture.catalog.live_snapshot(&store_id).await.unwrap_err();
    let error = error.to_string();
    assert!(error.contains(&jobs[0].job_id.to_string()), "{error}");
    assert!(error.chars().count() < 250, "{error}");
    let next = fixture.seed(&["a"]).await;
    assert_eq!(fixture.live("a").await, Some(next[0].job_id));
}
