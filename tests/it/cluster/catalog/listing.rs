//! Listing a run: all or nothing, skipping what needs no job, and retiring what is gone.

use std::{collections::BTreeSet, time::Duration};

use chrono::{TimeDelta, Utc};
use seedbed::catalog::{CatalogError, Sweep};
use seedbed_protocol::{RunId, StoreId, manifest::StepTiming, message::EventKind};

use super::fixture::{FULL_SWEEP, Fixture, REFUSE, SKIP, completed, failed, list, scope};

on_both!(
    a_listed_job_keeps_its_claims_and_their_order,
    a_store_that_is_listed_twice_leaves_nothing_behind,
    a_store_is_listed_twice_also_if_it_was_skipped_before,
    a_store_with_a_job_in_flight_is_refused_or_skipped,
    a_list_that_is_dropped_leaves_nothing_behind,
    a_fresh_store_is_skipped_and_without_jobs_there_is_no_run,
    jobs_that_share_a_place_are_all_paged_through,
    a_long_list_is_written_whole_and_its_duplicate_is_found,
    a_store_that_a_full_sweep_lacks_is_retired_until_it_comes_back,
    a_full_sweep_that_finds_far_fewer_stores_changes_nothing_unless_told,
    a_run_goes_out_asked_for_and_new_stores_first_and_then_the_longest,
    a_store_that_a_client_asks_for_goes_out_next,
    a_second_listing_waits_and_skips_what_the_first_put_in_flight,
);

async fn a_listed_job_keeps_its_claims_and_their_order(fixture: Fixture) {
    let (_, jobs) = fixture.run(&["a", "b"]).await;
    assert_eq!(jobs[1].scope, scope("b"));
    assert_eq!(jobs[1].position, 2);
}

async fn a_store_that_is_listed_twice_leaves_nothing_behind(fixture: Fixture) {
    let mut listing = fixture.catalog.list_run(REFUSE).await.unwrap();
    for (id, position) in [("a", 3), ("b", 4), ("a", 9)] {
        listing.add(scope(id), position).await.unwrap();
    }
    let error = listing.commit().await.unwrap_err().to_string();
    assert!(
        error.contains("\"a\"") && error.contains("at 3 and at 9"),
        "{error}"
    );
    assert!(fixture.catalog.runs(10).await.unwrap().is_empty());
    fixture.run(&["a"]).await;
}

async fn a_store_is_listed_twice_also_if_it_was_skipped_before(fixture: Fixture) {
    fixture.run(&["a"]).await;
    let mut listing = fixture.catalog.list_run(SKIP).await.unwrap();
    listing.add(scope("a"), 3).await.unwrap();
    listing.add(scope("a"), 9).await.unwrap();
    let error = listing.commit().await.unwrap_err().to_string();
    assert!(error.contains("at 3 and at 9"), "{error}");
}

async fn a_store_with_a_job_in_flight_is_refused_or_skipped(fixture: Fixture) {
    let (run_id, jobs) = fixture.run(&["a"]).await;
    let mut listing = fixture.catalog.list_run(REFUSE).await.unwrap();
    listing.add(scope("a"), 1).await.unwrap();
    let error = listing.commit().await.unwrap_err().to_string();
    assert!(error.contains(&run_id.to_string()), "{error}");

    let listed = fixture.list(&["a", "b"], SKIP).await;
    assert_eq!((listed.jobs, listed.in_flight, listed.fresh), (1, 1, 0));
    assert_eq!(listed.in_flight_runs, BTreeSet::from([run_id]));

    fixture.apply(failed(&jobs[0], 1, false)).await;
    fixture.run(&["a"]).await;
}

async fn a_list_that_is_dropped_leaves_nothing_behind(fixture: Fixture) {
    let mut listing = fixture.catalog.list_run(REFUSE).await.unwrap();
    for position in 1..=600 {
        let id = format!("s{position}");
        listing.add(scope(&id), position).await.unwrap();
    }
    drop(listing);
    assert!(fixture.catalog.runs(10).await.unwrap().is_empty());
    fixture.run(&["s1", "s2"]).await;
}

async fn a_fresh_store_is_skipped_and_without_jobs_there_is_no_run(fixture: Fixture) {
    fixture.seed(&["a"]).await;
    // The snapshot is half an hour old.
    let older_than = |minutes: u64| Sweep {
        only_older_than: Some(Duration::from_secs(minutes * 60)),
        ..SKIP
    };
    let before = fixture.catalog.runs(10).await.unwrap().len();
    let listed = fixture.list(&["a"], older_than(60)).await;
    assert_eq!((listed.run_id, listed.jobs, listed.fresh), (None, 0, 1));
    assert_eq!(fixture.catalog.runs(10).await.unwrap().len(), before);
    let listed = fixture.list(&["a", "b"], older_than(60)).await;
    assert_eq!((listed.jobs, listed.fresh), (1, 1));
    let listed = fixture.list(&["a"], older_than(10)).await;
    assert_eq!((listed.jobs, listed.fresh), (1, 0));
}

async fn jobs_that_share_a_place_are_all_paged_through(fixture: Fixture) {
    let mut listing = fixture.catalog.list_run(REFUSE).await.unwrap();
    for id in ["a", "b", "c", "d", "e"] {
        listing.add(scope(id), 7).await.unwrap();
    }
    let run_id = listing.commit().await.unwrap().run_id.unwrap();
    let (mut after, mut listed) = (None, Vec::new());
    loop {
        let page = fixture
            .catalog
            .listed_jobs(run_id, after.as_ref(), 2)
            .await
            .unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.clone());
        listed.extend(page.into_iter().map(|job| job.scope.store_id.to_string()));
    }
    listed.sort();
    assert_eq!(listed, ["a", "b", "c", "d", "e"]);
}

async fn a_long_list_is_written_whole_and_its_duplicate_is_found(fixture: Fixture) {
    let mut listing = fixture.catalog.list_run(REFUSE).await.unwrap();
    for position in 1..=600 {
        let id = format!("s{position}");
        listing.add(scope(&id), position).await.unwrap();
    }
    let listed = listing.commit().await.unwrap();
    assert_eq!(listed.jobs, 600);
    let totals = fixture
        .catalog
        .totals(listed.run_id.unwrap())
        .await
        .unwrap();
    assert_eq!((totals.stores, totals.in_flight), (600, 600));

    let mut listing = fixture.catalog.list_run(SKIP).await.unwrap();
    let mut refused = None;
    for position in 1..=600 {
        let id = if position == 500 { 3 } else { position };
        let added = listing.add(scope(&format!("s{id}")), position).await;
        if let Err(error) = added {
            refused = Some(error);
            break;
        }
    }
    let error = refused.expect("the batch with the duplicate is full");
    assert!(error.to_string().contains("at 3 and at 500"), "{error}");
}

async fn a_store_that_a_full_sweep_lacks_is_retired_until_it_comes_back(fixture: Fixture) {
    let jobs = fixture.seed(&["a", "b", "c"]).await;
    assert_eq!(fixture.list(&["a", "b"], SKIP).await.retired, 0);
    // Two of them are in flight now; they are there nevertheless.
    assert_eq!(fixture.list(&["a", "b"], FULL_SWEEP).await.retired, 1);
    assert_eq!(fixture.live("c").await, None);
    assert_eq!(fixture.live("a").await, Some(jobs[0].job_id));
    assert_eq!(fixture.list(&["a", "b"], FULL_SWEEP).await.retired, 0);
    let young = Sweep {
        only_older_than: Some(Duration::from_secs(3600)),
        ..FULL_SWEEP
    };
    assert_eq!(fixture.list(&["a", "b", "c"], young).await.fresh, 1);
    assert_eq!(fixture.live("c").await, Some(jobs[2].job_id));
}

async fn a_full_sweep_that_finds_far_fewer_stores_changes_nothing_unless_told(fixture: Fixture) {
    fixture.seed(&["a", "b", "c"]).await;
    let mut listing = fixture.catalog.list_run(FULL_SWEEP).await.unwrap();
    listing.add(scope("a"), 1).await.unwrap();
    let error = listing.commit().await.unwrap_err();
    assert!(
        matches!(
            error,
            CatalogError::FewerStores {
                found: 1,
                before: 3
            }
        ),
        "{error}"
    );
    assert!(
        error.to_string().contains("--allow-fewer-stores"),
        "{error}"
    );
    assert!(fixture.live("c").await.is_some());
    assert!(fixture.catalog.jobs_in_flight(10).await.unwrap().is_empty());
    let told = Sweep {
        allow_fewer: true,
        ..FULL_SWEEP
    };
    let listed = fixture.list(&["a"], told).await;
    assert_eq!((listed.jobs, listed.retired), (1, 2));
    assert!(fixture.live("c").await.is_none());
}

async fn a_second_listing_waits_and_skips_what_the_first_put_in_flight(fixture: Fixture) {
    let mut first = fixture.catalog.list_run(SKIP).await.unwrap();
    first.add(scope("a"), 1).await.unwrap();
    let other = fixture.another().await;
    let second = tokio::spawn(async move { list(&other, &["a", "b"], SKIP).await });
    let first = first.commit().await.unwrap();
    let second = second.await.unwrap();
    // Whichever took the lock first, the store has one job.
    assert_eq!((second.jobs, second.in_flight), (1, 1));
    assert_eq!(
        second.in_flight_runs,
        BTreeSet::from([first.run_id.unwrap()])
    );
}

/// SQLite has one writer at a time.
#[tokio::test(flavor = "multi_thread")]
async fn on_postgres_events_are_applied_while_a_long_list_is_written() {
    let fixture = Fixture::postgres().await;
    let (_, jobs) = fixture.run(&["a"]).await;
    let mut listing = fixture.catalog.list_run(SKIP).await.unwrap();
    for position in 1..=600 {
        let id = format!("s{position}");
        listing.add(scope(&id), position).await.unwrap();
    }
    let applied = fixture.apply(completed(&jobs[0], 1));
    let limit = Duration::from_secs(60);
    tokio::time::timeout(limit, applied)
        .await
        .expect("the listing does not stand in the way");
    let expired = fixture.catalog.expire_jobs(limit, TimeDelta::days(20_000));
    assert_eq!(expired.await.unwrap(), 0);
    assert_eq!(listing.commit().await.unwrap().jobs, 600);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_that_loses_postgres_while_it_lists_leaves_nothing_and_goes_on() {
    let fixture = Fixture::postgres().await;
    let mut listing = fixture.catalog.list_run(SKIP).await.unwrap();
    for position in 1..=600 {
        let id = format!("s{position}");
        listing.add(scope(&id), position).await.unwrap();
    }
    let cut = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid()";
    fixture.execute(cut).await;
    let error = listing.commit().await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert!(fixture.catalog.runs(10).await.unwrap().is_empty());
    assert_eq!(fixture.list(&["s1", "s2"], SKIP).await.jobs, 2);
}

/// The stores of a run in the order in which its jobs go out.
async fn order(fixture: &Fixture, run_id: RunId) -> Vec<String> {
    let (mut after, mut order) = (None, Vec::new());
    loop {
        let page = fixture.catalog.listed_jobs(run_id, after.as_ref(), 2);
        let page = page.await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.clone());
        order.extend(page.iter().map(|job| job.scope.store_id.to_string()));
    }
    order
}

async fn a_run_goes_out_asked_for_and_new_stores_first_and_then_the_longest(fixture: Fixture) {
    let (_, jobs) = fixture
        .run(&["small", "large", "slow", "asked", "served"])
        .await;
    let sizes = [(10, 40), (900_000, 40), (10, 60_000), (10, 40), (20, 50)];
    for (job, (rows, millis)) in jobs.iter().zip(sizes) {
        let mut event = completed(job, 1);
        if let EventKind::Completed { manifest } = &mut event.kind {
            manifest.tables[0].rows = rows;
            manifest.steps = vec![StepTiming {
                step: "sync".to_owned(),
                millis,
            }];
        }
        fixture.apply(event).await;
    }
    let ask = async |store: &str, when| {
        let store = [StoreId::new(store).unwrap()];
        fixture.catalog.asked_for(&store, when).await.unwrap();
    };
    // The snapshots were made half an hour ago.
    ask("asked", Utc::now()).await;
    ask("served", Utc::now() - TimeDelta::hours(1)).await;
    let stores = [
        "small", "served", "new-1", "slow", "asked", "large", "new-2",
    ];
    let listed = fixture.list(&stores, SKIP).await;
    let expected = [
        "asked", "new-1", "new-2", "slow", "large", "served", "small",
    ];
    let run_id = listed.run_id.unwrap();
    assert_eq!(order(&fixture, run_id).await, expected);

    // A retry keeps the order; of a store without a snapshot, the mean is expected.
    let totals = fixture.catalog.totals(run_id).await.unwrap();
    let known = 10 + 900_000 + 10 + 10 + 20;
    assert_eq!(
        (totals.rows, totals.rows_left),
        (0, known + 2 * (known / 5))
    );
    for job in fixture.listed(run_id).await {
        fixture.apply(failed(&job, 1, false)).await;
    }
    let totals = fixture.catalog.totals(run_id).await.unwrap();
    assert_eq!((totals.rows, totals.rows_left), (0, 0));
    let retried = fixture.catalog.retry_failed(Some(run_id), &[]).await;
    let again = *retried.unwrap().runs.first().unwrap();
    assert_eq!(order(&fixture, again).await, expected);
}

async fn a_store_that_a_client_asks_for_goes_out_next(fixture: Fixture) {
    let (run_id, jobs) = fixture.run(&["a", "b", "c", "d"]).await;
    assert!(jobs.iter().all(|job| !job.is_asked_for()));
    let asked = [StoreId::new("c").unwrap(), StoreId::new("else").unwrap()];
    fixture.catalog.asked_for(&asked, Utc::now()).await.unwrap();
    assert_eq!(order(&fixture, run_id).await, ["c", "a", "b", "d"]);
    let asked = fixture.catalog.asked_jobs(run_id, 10).await.unwrap();
    let stores: Vec<_> = asked
        .iter()
        .map(|job| job.scope.store_id.as_str())
        .collect();
    assert_eq!((stores, asked[0].is_asked_for()), (vec!["c"], true));

    // It does not wait for a listing that has listed the same store, and keeps nobody waiting.
    if fixture.url.starts_with("postgres") {
        let mut listing = fixture.catalog.list_run(SKIP).await.unwrap();
        for position in 1..=600 {
            let id = format!("s{position}");
            listing.add(scope(&id), position).await.unwrap();
        }
        let listed = [StoreId::new("s1").unwrap()];
        let asking = fixture.catalog.asked_for(&listed, Utc::now());
        let asked = tokio::time::timeout(Duration::from_secs(20), asking).await;
        asked.expect("it waits for no listing").unwrap();
        listing.commit().await.unwrap();
    }
}
