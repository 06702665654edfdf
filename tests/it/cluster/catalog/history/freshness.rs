//! The record of how fresh the stores were: once an hour, by one server, for a month.

use std::time::Duration;

use seedbed::catalog::FreshnessPromise;

use crate::cluster::catalog::fixture::{Fixture, failed};

on_both!(an_hour_is_recorded_once_whoever_comes_first_and_a_month_is_kept);

const HOUR: i64 = 3_600_000;

/// Snapshots of the fixture are half an hour old.
const AGE: Duration = Duration::from_secs(3_600);

async fn an_hour_is_recorded_once_whoever_comes_first_and_a_month_is_kept(fixture: Fixture) {
    let (catalog, other) = (&fixture.catalog, fixture.another().await);
    assert!(!catalog.record_freshness(AGE).await.unwrap(), "no store");
    let (_, jobs) = fixture.run(&["a", "b", "c", "d"]).await;
    assert!(
        !catalog.record_freshness(AGE).await.unwrap(),
        "no run has ended"
    );
    assert!(catalog.freshness_history().await.unwrap().days.is_empty());
    for job in &jobs {
        fixture.apply(failed(job, 1, false)).await;
    }
    catalog.finish_runs().await.unwrap();
    fixture.seed(&["a", "b", "c"]).await;
    let now = catalog.fresh_now(AGE).await.unwrap();
    assert_eq!((now.stores, now.fresh), (4, 3));
    let strict = catalog.fresh_now(Duration::from_secs(60)).await.unwrap();
    assert_eq!((strict.stores, strict.fresh), (4, 0));

    // What is too old for the month, its first hour, and yesterday.
    let hour = catalog.now().await.unwrap().timestamp_millis() / HOUR;
    let first = (hour / 24 - 29) * 24;
    let yesterday = (hour / 24 - 1) * 24;
    fixture
        .execute(&format!(
            "INSERT INTO freshness (hour, stores, fresh) VALUES \
             ({}, 100, 0), ({first}, 10, 10), ({yesterday}, 4, 4), ({}, 4, 2)",
            first - 1,
            yesterday + 1
        ))
        .await;
    // Two servers at once: one of them records the hour.
    let (one, two) = tokio::join!(catalog.record_freshness(AGE), other.record_freshness(AGE));
    assert_eq!(u8::from(one.unwrap()) + u8::from(two.unwrap()), 1);
    assert!(!other.record_freshness(AGE).await.unwrap());
    let hours = fixture.lines("SELECT CAST(hour AS TEXT) FROM freshness ORDER BY hour");
    assert_eq!(hours.await.len(), 4, "the oldest has gone");

    let history = other.freshness_history().await.unwrap();
    let days: Vec<_> = (history.days.iter())
        .map(|(_, count)| (count.stores, count.fresh))
        .collect();
    assert_eq!(days, [(10, 10), (8, 6), (4, 3)]);
    assert_eq!((history.all.stores, history.all.fresh), (22, 19));
    let promise = |objective| FreshnessPromise {
        age: AGE,
        objective,
    };
    assert!(history.all.keeps(promise(0.86)) && !history.all.keeps(promise(0.87)));
    assert!(history.all.budget_left(promise(0.5)) > 0.7);
    assert!(history.all.budget_left(promise(0.99)) < 0.0);
}
