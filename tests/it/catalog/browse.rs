//! What people look at: pages of stores, jobs and runs, and how fresh everything is.

use chrono::{TimeDelta, Utc};
use seedbed::catalog::{Age, Freshness, JobFilter, StoreSearch};
use seedbed_protocol::StoreId;

use super::fixture::{FULL_SWEEP, Fixture, SKIP, completed, failed};

on_both!(
    a_store_is_found_by_any_part_of_its_id_as_it_is_written,
    pages_have_each_store_once_whatever_their_ids_are,
    pages_have_each_job_of_a_run_once,
    stores_are_found_by_their_newest_job_and_by_their_age,
    a_store_has_its_history_with_the_newest_first,
);

/// The ids of all stores like that, read in pages of `limit`.
async fn found(fixture: &Fixture, search: &StoreSearch, limit: u32) -> Vec<String> {
    let now = Utc::now();
    let mut ids: Vec<String> = Vec::new();
    let mut after: Option<StoreId> = None;
    loop {
        let page = fixture
            .catalog
            .stores_page(search, after.as_ref(), limit, now)
            .await
            .unwrap();
        let Some(last) = page.last() else {
            break;
        };
        after = Some(last.store_id.clone());
        ids.extend(page.iter().map(|store| store.store_id.to_string()));
    }
    let count = fixture.catalog.count_stores(search, now).await.unwrap();
    assert_eq!(count, ids.len() as u64, "{search:?}");
    ids
}

async fn search(fixture: &Fixture, text: &str) -> Vec<String> {
    let search = StoreSearch {
        search: Some(text.to_owned()),
        ..StoreSearch::default()
    };
    found(fixture, &search, 10).await
}

async fn a_store_is_found_by_any_part_of_its_id_as_it_is_written(fixture: Fixture) {
    fixture
        .run(&["50%", "500", "a_b", "aXb", "Shop-7", "ÄPFEL", "o'neil"])
        .await;
    assert_eq!(search(&fixture, "0%").await, ["50%"]);
    assert_eq!(search(&fixture, "A_B").await, ["a_b"]);
    assert_eq!(search(&fixture, "sHOP").await, ["Shop-7"]);
    assert_eq!(search(&fixture, "ÄPF").await, ["ÄPFEL"]);
    assert_eq!(search(&fixture, "o'").await, ["o'neil"]);
    assert_eq!(search(&fixture, "' OR 1=1 --").await, [""; 0]);
    assert_eq!(search(&fixture, "").await.len(), 7);
}

async fn pages_have_each_store_once_whatever_their_ids_are(fixture: Fixture) {
    let mut ids: Vec<String> = (0..40).map(|n| format!("store-{n}")).collect();
    ids.extend(["<img src=x>", "Z", "z", "é", "日本", "a b", "%2e%2e"].map(str::to_owned));
    let names: Vec<&str> = ids.iter().map(String::as_str).collect();
    fixture.run(&names).await;
    for limit in [1, 7, 100] {
        let mut seen = found(&fixture, &StoreSearch::default(), limit).await;
        seen.sort();
        ids.sort();
        assert_eq!(seen, ids, "pages of {limit}");
    }
}

async fn pages_have_each_job_of_a_run_once(fixture: Fixture) {
    let names: Vec<String> = (0..10).map(|n| format!("Store-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (run_id, jobs) = fixture.run(&names).await;
    fixture.apply(failed(&jobs[3], 1, false)).await;
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let filter = JobFilter::default();
        let page = fixture.catalog.jobs_page(run_id, &filter, after, 3).await;
        let (page, next) = page.unwrap();
        seen.extend(page.into_iter().map(|job| job.job_id));
        after = next;
        if after.is_none() {
            break;
        }
    }
    let expected: Vec<_> = jobs.iter().map(|job| job.job_id).collect();
    assert_eq!(seen, expected, "in the order of the list");

    let filtered = async |state: Option<&str>, search: Option<&str>| {
        let filter = JobFilter {
            state: state.map(str::to_owned),
            search: search.map(str::to_owned),
        };
        let page = fixture.catalog.jobs_page(run_id, &filter, None, 20).await;
        page.unwrap().0
    };
    let failures = filtered(Some("failed"), None).await;
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].store_id, jobs[3].scope.store_id);
    let failure = failures[0].failure.as_ref().unwrap();
    assert_eq!(failure.message, "try 1 failed");
    assert_eq!(failure.step.as_deref(), Some("sync"));
    assert_eq!(filtered(None, Some("store-3")).await.len(), 1);
    assert!(filtered(Some("failed"), Some("store-4")).await.is_empty());
}

async fn stores_are_found_by_their_newest_job_and_by_their_age(fixture: Fixture) {
    let run_id = fixture
        .list(&["a", "b", "c", "d", "gone"], FULL_SWEEP)
        .await;
    let jobs = fixture.listed(run_id.run_id.unwrap()).await;
    for job in &jobs[..3] {
        fixture.apply(completed(job, 1)).await;
    }
    fixture.apply(completed(&jobs[4], 1)).await;
    fixture.apply(failed(&jobs[3], 1, false)).await;
    // Half an hour old are all; these two are older.
    let age = |store: &str, hours| {
        let created = (Utc::now() - TimeDelta::hours(hours)).timestamp_millis();
        format!("UPDATE snapshots SET created_at = {created} WHERE store_id = '{store}'")
    };
    fixture.execute(&age("b", 2)).await;
    fixture.execute(&age("c", 30)).await;
    fixture
        .execute("UPDATE stores SET retired_at = 1 WHERE store_id = 'gone'")
        .await;
    let freshness = fixture.catalog.freshness(Utc::now()).await.unwrap();
    let expected = Freshness {
        hour: 1,
        six_hours: 1,
        day: 0,
        older: 1,
        never: 1,
    };
    assert_eq!(freshness, expected);
    assert_eq!(freshness.stores(), 4, "a retired store does not count");
    for (age, ids) in [
        (Age::Hour, vec!["a"]),
        (Age::SixHours, vec!["b"]),
        (Age::Day, vec![]),
        (Age::Older, vec!["c"]),
        (Age::Never, vec!["d"]),
    ] {
        let search = StoreSearch {
            age: Some(age),
            ..StoreSearch::default()
        };
        assert_eq!(found(&fixture, &search, 10).await, ids, "{age:?}");
    }
    let of_state = async |state: &str| {
        let search = StoreSearch {
            state: Some(state.to_owned()),
            ..StoreSearch::default()
        };
        found(&fixture, &search, 10).await
    };
    assert_eq!(of_state("failed").await, ["d"]);
    assert_eq!(of_state("completed").await, ["a", "b", "c", "gone"]);
    // Only the newest job counts.
    fixture.list(&["d"], SKIP).await;
    assert_eq!(of_state("failed").await, [""; 0]);
    assert_eq!(of_state("listed").await, ["d"]);
}

async fn a_store_has_its_history_with_the_newest_first(fixture: Fixture) {
    let first = fixture.seed(&["a"]).await;
    let second = fixture.seed(&["a", "b"]).await;
    let a = StoreId::new("a").unwrap();
    let history = fixture.catalog.store_history(&a).await.unwrap().unwrap();
    let newest = history.store.job.as_ref().unwrap();
    assert_eq!(newest.job_id, second[0].job_id);
    assert_eq!(
        (history.store.rows, history.store.bytes),
        (Some(10), Some(4096))
    );
    let jobs: Vec<_> = history.jobs.iter().map(|job| job.job_id).collect();
    assert_eq!(jobs, [second[0].job_id, first[0].job_id]);
    let states: Vec<_> = history.snapshots.iter().map(|s| s.state.as_str()).collect();
    assert_eq!(states, ["live", "superseded"]);
    let nobody = StoreId::new("nobody").unwrap();
    assert!(
        fixture
            .catalog
            .store_history(&nobody)
            .await
            .unwrap()
            .is_none()
    );
}
