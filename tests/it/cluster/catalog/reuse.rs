//! What jobs start from, which way they went, and since when the source is asked for changes.

use chrono::{DateTime, Utc};
use seedbed::catalog::{Applied, Download, WayCount};
use seedbed_protocol::{
    StoreId,
    manifest::{FullReason, Origin},
    message::{BaseSnapshot, EventKind},
};

use super::fixture::{
    CHANGED, FULL_SWEEP, Fixture, SKIP, at, completed, failed, list, manifest, scope, unchanged,
};

on_both!(
    a_live_snapshot_is_what_a_job_starts_from,
    an_unchanged_store_keeps_its_snapshot_which_counts_as_verified_then,
    an_unchanged_store_whose_snapshot_is_gone_has_failed,
    each_job_says_which_way_it_went,
    a_run_in_full_says_so,
    changes_are_asked_for_since_the_last_sweep_over_all_stores,
    a_sweep_that_skipped_a_store_does_not_move_the_time,
    stores_that_did_not_succeed_are_added_to_those_that_have_changed,
);

async fn verified_at(fixture: &Fixture, id: &str) -> DateTime<Utc> {
    let id = StoreId::new(id).unwrap();
    let live = fixture.catalog.live_snapshot(&id).await.unwrap();
    live.unwrap().verified_at
}

async fn a_live_snapshot_is_what_a_job_starts_from(fixture: Fixture) {
    let seeded = fixture.seed(&["a", "b"]).await;
    let (_, again) = fixture.run(&["b", "c"]).await;
    let bases = fixture.catalog.bases(&again).await.unwrap();
    let stores: Vec<_> = bases.keys().map(StoreId::as_str).collect();
    assert_eq!(stores, ["b"]);
    let base = &bases[&StoreId::new("b").unwrap()];
    assert_eq!(base.job_id, seeded[1].job_id);
    let made = BaseSnapshot {
        created_at: base.created_at,
        full_at: base.full_at,
        ..manifest(&seeded[1], 1).into()
    };
    assert_eq!(*base, made);
}

async fn an_unchanged_store_keeps_its_snapshot_which_counts_as_verified_then(fixture: Fixture) {
    let seeded = fixture.seed(&["a"]).await;
    assert!(verified_at(&fixture, "a").await < Utc::now());
    let (run_id, again) = fixture.run(&["a"]).await;
    let event = unchanged(&again[0], &seeded[0]);
    assert_eq!(fixture.apply(event.clone()).await, Applied::Unchanged);
    assert_eq!(fixture.apply(event).await, Applied::Ignored);
    assert_eq!(fixture.state(&again[0]).await, "unchanged");
    assert_eq!(fixture.live("a").await, Some(seeded[0].job_id));
    assert_eq!(verified_at(&fixture, "a").await, at(0));
    let totals = fixture.catalog.totals(run_id).await.unwrap();
    assert_eq!((totals.seeded, totals.unchanged), (1, 1));
    assert_eq!((totals.rows, totals.rows_left, totals.bytes), (10, 0, 4096));

    // What is told late does not make it older.
    let (_, later) = fixture.run(&["a"]).await;
    let mut late = unchanged(&later[0], &seeded[0]);
    late.at = at(-1_000);
    assert_eq!(fixture.apply(late).await, Applied::Unchanged);
    assert_eq!(verified_at(&fixture, "a").await, at(0));
}

async fn an_unchanged_store_whose_snapshot_is_gone_has_failed(fixture: Fixture) {
    let seeded = fixture.seed(&["a", "b"]).await;
    let (_, again) = fixture.run(&["a", "b"]).await;
    fixture
        .execute("UPDATE snapshots SET state = 'deleted' WHERE store_id = 'a'")
        .await;
    let applied = fixture.apply(unchanged(&again[0], &seeded[0])).await;
    assert_eq!(applied, Applied::Failed);
    assert_eq!(fixture.state(&again[0]).await, "failed");
    // Another one has taken its place: the store has a snapshot.
    fixture.apply(completed(&again[1], 1)).await;
    let (_, third) = fixture.run(&["b"]).await;
    let applied = fixture.apply(unchanged(&third[0], &seeded[1])).await;
    assert_eq!(applied, Applied::Unchanged);
    assert!(verified_at(&fixture, "b").await < at(0));
}

async fn each_job_says_which_way_it_went(fixture: Fixture) {
    let seeded = fixture.seed(&["a"]).await;
    let (run_id, jobs) = fixture.run(&["a", "b", "c", "d", "e"]).await;
    fixture.apply(unchanged(&jobs[0], &seeded[0])).await;
    for (job, origin) in [
        (
            &jobs[1],
            Origin::Base {
                job_id: seeded[0].job_id,
                full_at: at(0),
                loose_operations: 1,
            },
        ),
        (
            &jobs[2],
            Origin::Full {
                because: FullReason::Changed,
            },
        ),
        (
            &jobs[3],
            Origin::Full {
                because: FullReason::Changed,
            },
        ),
    ] {
        let mut event = completed(job, 1);
        if let EventKind::Completed { manifest } = &mut event.kind {
            manifest.origin = origin;
        }
        fixture.apply(event).await;
    }
    fixture.apply(failed(&jobs[4], 1, false)).await;
    let way = |way: &str, why: Option<&str>, jobs| WayCount {
        way: way.to_owned(),
        why: why.map(str::to_owned),
        jobs,
    };
    assert_eq!(
        fixture.catalog.ways(run_id).await.unwrap(),
        [
            way("full", Some("changed"), 2),
            way("base", None, 1),
            way("unchanged", None, 1)
        ]
    );
    let totals = fixture.catalog.totals(run_id).await.unwrap();
    assert_eq!((totals.unchanged, totals.from_base), (1, 1));
    assert_eq!((totals.seeded, totals.failed), (4, 1));
}

async fn a_run_in_full_says_so(fixture: Fixture) {
    let mut options = SKIP;
    for is_full in [true, false] {
        options.download = Download::everything_if(is_full);
        let id = format!("store-{is_full}");
        let run_id = fixture.list(&[&id], options).await.run_id.unwrap();
        assert_eq!(fixture.catalog.is_full_run(run_id).await.unwrap(), is_full);
    }
}

async fn changes_are_asked_for_since_the_last_sweep_over_all_stores(fixture: Fixture) {
    let before = Utc::now();
    let first = fixture.catalog.list_run(CHANGED).await.unwrap();
    assert_eq!(first.changed_since(), None, "nothing was ever listed");
    drop(first);
    let listed = fixture.list(&["a", "b"], CHANGED).await;
    for job in fixture.listed(listed.run_id.unwrap()).await {
        fixture.apply(completed(&job, 1)).await;
    }
    // Neither a run over some stores nor one that is given up counts.
    fixture.list(&["a"], SKIP).await;
    drop(fixture.catalog.list_run(FULL_SWEEP).await.unwrap());
    let second = fixture.catalog.list_run(CHANGED).await.unwrap();
    let since = second.changed_since().unwrap();
    assert!(before.timestamp_millis() <= since.timestamp_millis() && since <= Utc::now());
    drop(second);
    let all = fixture.catalog.list_run(FULL_SWEEP).await.unwrap();
    assert_eq!(all.changed_since(), None, "it was not asked for");
    drop(all);

    // What the source leaves out is not gone.
    let listed = fixture.list(&[], CHANGED).await;
    assert_eq!((listed.jobs, listed.retired, listed.run_id), (0, 0, None));
    let third = fixture.catalog.list_run(CHANGED).await.unwrap();
    assert!(third.changed_since().unwrap() > since);
}

async fn a_sweep_that_skipped_a_store_does_not_move_the_time(fixture: Fixture) {
    fixture.list(&["a"], CHANGED).await;
    let since = async || {
        let listing = fixture.catalog.list_run(CHANGED).await.unwrap();
        listing.changed_since().unwrap()
    };
    let first = since().await;
    // Its job may have read it before it changed again.
    assert_eq!(fixture.list(&["a"], CHANGED).await.in_flight, 1);
    assert_eq!(since().await, first);
    fixture.execute("UPDATE jobs SET state = 'completed'").await;
    fixture.list(&["a"], CHANGED).await;
    assert!(since().await > first);
}

async fn stores_that_did_not_succeed_are_added_to_those_that_have_changed(fixture: Fixture) {
    let listed = fixture
        .list(&["failed", "seeded", "gone", "lost"], CHANGED)
        .await;
    let jobs = fixture.listed(listed.run_id.unwrap()).await;
    fixture.apply(failed(&jobs[0], 1, false)).await;
    for job in &jobs[1..] {
        fixture.apply(completed(job, 1)).await;
    }
    fixture
        .execute(
            "UPDATE stores SET retired_at = 1 WHERE store_id = 'gone'; \
             UPDATE snapshots SET state = 'deleted' WHERE store_id IN ('gone', 'lost')",
        )
        .await;
    let listed = list(&fixture.catalog, &["changed"], CHANGED).await;
    assert_eq!((listed.jobs, listed.added), (3, 2));
    let jobs = fixture.listed(listed.run_id.unwrap()).await;
    let mut stores: Vec<_> = jobs.iter().map(|job| job.scope.store_id.as_str()).collect();
    stores.sort_unstable();
    assert_eq!(stores, ["changed", "failed", "lost"]);
    let failed = jobs
        .iter()
        .find(|job| job.scope.store_id.as_str() == "failed");
    assert_eq!(failed.unwrap().scope, scope("failed"));
}
