//! What people are told of: each event once, by one server.

use std::time::Duration;

use seedbed::catalog::{Catalog, FreshnessPromise, NoticeEvent};

use crate::cluster::catalog::fixture::{Fixture, at, failed};

on_both!(
    a_failed_run_and_a_new_reason_are_told_once_and_what_was_before_is_not,
    a_promise_that_is_missed_is_told_once_until_it_was_kept,
    a_notice_that_has_not_arrived_is_tried_again_by_one_server_at_a_time,
);

/// A promise that is always kept.
const KEPT: FreshnessPromise = FreshnessPromise {
    age: Duration::MAX,
    objective: 0.0,
};

const LEASE: Duration = Duration::from_secs(60);

async fn find(catalog: &Catalog) {
    catalog
        .find_notices(&NoticeEvent::EACH, KEPT, false)
        .await
        .unwrap();
}

/// Takes what there is to tell, and says that it has arrived.
async fn told(catalog: &Catalog) -> Vec<String> {
    let mut told = Vec::new();
    while let Some(due) = catalog.take_notice(LEASE).await.unwrap() {
        catalog.notice_is_sent(&due.notice.id).await.unwrap();
        told.push(due.notice.event.name().to_owned());
    }
    told.sort();
    told
}

async fn fail(fixture: &Fixture, store: &str) {
    let (_, jobs) = fixture.run(&[store]).await;
    let mut event = failed(&jobs[0], 1, false);
    event.at = fixture.catalog.now().await.unwrap().max(at(0));
    fixture.apply(event).await;
    fixture.catalog.finish_runs().await.unwrap();
}

async fn a_failed_run_and_a_new_reason_are_told_once_and_what_was_before_is_not(fixture: Fixture) {
    let catalog = &fixture.catalog;
    find(catalog).await;
    assert_eq!(told(catalog).await, Vec::<String>::new());
    fail(&fixture, "a").await;
    for _ in 0..2 {
        find(catalog).await;
        find(&fixture.another().await).await;
    }
    assert_eq!(told(catalog).await, ["new_reason", "run_failed"]);
    find(catalog).await;
    assert_eq!(told(catalog).await, Vec::<String>::new());
    // The reason is known by now.
    fail(&fixture, "b").await;
    find(catalog).await;
    assert_eq!(told(catalog).await, ["run_failed"]);
}

async fn a_promise_that_is_missed_is_told_once_until_it_was_kept(fixture: Fixture) {
    let catalog = &fixture.catalog;
    let find = async |age: u64, objective: f64| {
        let promise = FreshnessPromise {
            age: Duration::from_secs(age),
            objective,
        };
        let events = [NoticeEvent::FreshnessMissed];
        catalog.find_notices(&events, promise, false).await.unwrap();
        told(catalog).await.len()
    };
    assert_eq!(find(3_600, 0.99).await, 0, "no store is no miss");
    let (_, jobs) = fixture.run(&["new"]).await;
    assert_eq!(find(3_600, 0.99).await, 0, "no run has ended yet");
    fixture.apply(failed(&jobs[0], 1, false)).await;
    fixture.seed(&["a", "b", "c", "d"]).await;
    catalog.finish_runs().await.unwrap();
    let retire = "UPDATE stores SET retired_at = 1 WHERE store_id = 'new'";
    fixture.execute(retire).await;
    // As the fixture has it, snapshots are half an hour old, and d has none.
    fixture
        .execute("UPDATE snapshots SET state = 'superseded' WHERE store_id = 'd'")
        .await;
    assert_eq!(find(3_600, 0.75).await, 0);
    assert_eq!(find(3_600, 0.76).await, 1);
    assert_eq!(find(3_600, 0.76).await, 0);
    assert_eq!(find(3_600, 0.75).await, 0, "it is kept");
    assert_eq!(find(60, 0.1).await, 1);
}

async fn a_notice_that_has_not_arrived_is_tried_again_by_one_server_at_a_time(fixture: Fixture) {
    let (catalog, other) = (&fixture.catalog, fixture.another().await);
    find(catalog).await;
    fail(&fixture, "a").await;
    catalog
        .find_notices(&[NoticeEvent::RunFailed], KEPT, true)
        .await
        .unwrap();
    let due = catalog.take_notice(LEASE).await.unwrap().unwrap();
    assert_eq!(due.attempts, 0);
    // In one process, no command retries.
    let text = &due.notice.text;
    assert!(
        text.contains("seedbed local") && !text.contains("seedbed retry"),
        "{text}"
    );
    assert_eq!(other.take_notice(LEASE).await.unwrap(), None);
    catalog
        .notice_has_failed(&due.notice.id, "503", Some(Duration::ZERO))
        .await
        .unwrap();
    let again = other.take_notice(LEASE).await.unwrap().unwrap();
    assert_eq!(
        (again.attempts, again.notice.id),
        (1, due.notice.id.clone())
    );
    // One that was killed in between.
    fixture.execute("UPDATE notices SET next_at = 1").await;
    let again = catalog.take_notice(LEASE).await.unwrap().unwrap();
    assert_eq!(again.attempts, 2);
    catalog
        .notice_has_failed(&due.notice.id, "404", None)
        .await
        .unwrap();
    fixture.execute("UPDATE notices SET next_at = 1").await;
    assert_eq!(
        catalog.take_notice(LEASE).await.unwrap(),
        None,
        "it was given up"
    );
}
