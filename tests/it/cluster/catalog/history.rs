//! Old rows go, in batches; what a store still needs stays.

use chrono::{DateTime, TimeDelta, Utc};
use seedbed::catalog::{Catalog, Forgotten, HistoryCursor};

use super::fixture::{FULL_SWEEP, Fixture};

mod freshness;
mod reports;
mod retention;
mod sizes;
mod timeline;

on_both!(
    what_is_long_over_goes_and_what_a_store_needs_stays,
    several_processes_forget_the_same_history,
    a_run_that_began_under_a_clock_that_was_ahead_is_not_the_newest_for_ever,
);

/// Runs of two stores, one a day, the newest 100 days ago: more jobs than a batch. The snapshots of all but the newest
/// are deleted.
const RUNS: i64 = 400;

/// The newest jobs of each store that stay.
const KEPT: u64 = 10;

/// The id of something that was made on this day, counted from `first`; ids sort by their time.
fn id(first: DateTime<Utc>, day: i64, number: i64) -> String {
    let millis = (first + TimeDelta::days(day)).timestamp_millis();
    let time = format!("{millis:012x}");
    format!("{}-{}-7000-8000-{number:012x}", &time[..8], &time[8..])
}

/// Writes the history of the stores `a` and `b`.
async fn write_history(fixture: &Fixture) {
    let first = Utc::now() - TimeDelta::days(100 + RUNS);
    let mut statements = String::from(
        "INSERT INTO stores (store_id, seen_in, position) VALUES ('a', 'x', 1), ('b', 'x', 2);",
    );
    for day in 0..RUNS {
        let run = id(first, day, 0);
        let at = (first + TimeDelta::days(day)).timestamp_millis();
        statements += &format!(
            "INSERT INTO runs (id, kind, state, started_at, finished_at) \
             VALUES ('{run}', 'run', 'completed', {at}, {at});"
        );
        for (number, store) in [(1, "a"), (2, "b")] {
            let job = id(first, day, number);
            let state = if day == RUNS - 1 { "live" } else { "deleted" };
            statements += &format!(
                "INSERT INTO jobs (id, run_id, store_id, position, claims, state, attempt, listed_at, finished_at) \
                 VALUES ('{job}', '{run}', '{store}', 1, '{{}}', 'completed', 1, {at}, {at}); \
                 INSERT INTO snapshots (job_id, attempt, run_id, store_id, manifest, row_count, byte_count, \
                     last_op_id, created_at, verified_at, state) \
                 VALUES ('{job}', 1, '{run}', '{store}', '{{}}', 1, 1, 1, {at}, {at}, '{state}');"
            );
        }
    }
    fixture.execute(&statements).await;
}

/// Forgets what ended more than `days` ago.
async fn forget(catalog: &Catalog, days: i64, dry_run: bool) -> Forgotten {
    let before = Utc::now() - TimeDelta::days(days);
    let mut forgotten = Forgotten::default();
    let mut cursor = Some(HistoryCursor::default());
    while let Some(after) = cursor {
        let (removed, next) = catalog.forget_jobs(before, after, dry_run).await.unwrap();
        forgotten += removed;
        cursor = next;
    }
    if dry_run {
        return forgotten;
    }
    loop {
        let removed = catalog.forget_runs_and_stores(before).await.unwrap();
        if removed == Forgotten::default() {
            return forgotten;
        }
        forgotten += removed;
    }
}

async fn what_is_long_over_goes_and_what_a_store_needs_stays(fixture: Fixture) {
    write_history(&fixture).await;
    let catalog = &fixture.catalog;
    // 90 days cover nothing of it less than 90 days old: all but the newest jobs go.
    let runs = RUNS.unsigned_abs();
    let expected = Forgotten {
        jobs: 2 * (runs - KEPT),
        snapshots: 2 * (runs - 1),
        ..Forgotten::default()
    };
    assert_eq!(forget(catalog, 90, true).await, expected);
    let all_runs = Forgotten {
        runs: runs - KEPT,
        ..expected
    };
    assert_eq!(forget(catalog, 90, false).await, all_runs);
    assert_eq!(forget(catalog, 90, false).await, Forgotten::default());

    // A store whose newest jobs are all that is left is listed and seeded as before.
    let jobs = fixture.seed(&["a"]).await;
    assert_eq!(fixture.live("a").await, Some(jobs[0].job_id));
    // Jobs that are in flight, and those of snapshots that are there, are never old.
    let (_, in_flight) = fixture.run(&["c"]).await;
    assert_eq!(forget(catalog, -1, false).await.stores, 0);
    assert_eq!(fixture.state(&in_flight[0]).await, "listed");
    assert_eq!(fixture.live("a").await, Some(jobs[0].job_id));

    // Of a store that is gone, nothing stays but what still has objects.
    fixture.list(&["a", "c"], FULL_SWEEP).await;
    fixture
        .execute("UPDATE snapshots SET state = 'deleted' WHERE store_id = 'b'")
        .await;
    let gone = forget(catalog, -1, false).await;
    // With the oldest of the other store, which has another job now.
    assert_eq!((gone.jobs, gone.stores), (KEPT + 1, 1), "{gone:?}");
    assert_eq!(gone.snapshots, 1);
}

async fn several_processes_forget_the_same_history(fixture: Fixture) {
    write_history(&fixture).await;
    let catalogs = [fixture.another().await, fixture.another().await];
    let both = catalogs.iter().map(|catalog| forget(catalog, 90, false));
    let mut forgotten = Forgotten::default();
    for removed in futures::future::join_all(both).await {
        forgotten += removed;
    }
    assert_eq!(forgotten.jobs, 2 * (RUNS.unsigned_abs() - KEPT));
    assert_eq!(
        forget(&fixture.catalog, 90, false).await,
        Forgotten::default()
    );
}

async fn a_run_that_began_under_a_clock_that_was_ahead_is_not_the_newest_for_ever(
    fixture: Fixture,
) {
    let (ahead, _) = fixture.run(&["a"]).await;
    let day = 86_400_000;
    fixture
        .execute(&format!(
            "UPDATE runs SET started_at = started_at + {day}, finished_at = started_at + {day} + 60000, \
             ended_at = started_at + {day} + 60000"
        ))
        .await;
    let before = Utc::now() - TimeDelta::minutes(1);
    let (next, _) = fixture.run(&["b"]).await;
    let (last, _) = fixture.run(&["c"]).await;
    let runs = fixture.catalog.runs(10).await.unwrap();
    let ids: Vec<_> = runs.iter().map(|run| run.run_id).collect();
    assert_eq!(ids, [last, next, ahead]);
    assert!(runs[2].started_at > before, "{runs:?}");
    let took =
        "SELECT CAST(finished_at - started_at AS TEXT) FROM runs WHERE finished_at IS NOT NULL";
    assert_eq!(fixture.lines(took).await, ["60000"]);
}
