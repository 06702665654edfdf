//! Reports of first launches: each counts once, they add up, and the oldest go.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use seedbed::catalog::{Aged, LaunchReport, Outcome, Platform, Reason, Received, Stage};
use seedbed_protocol::{
    StoreId,
    manifest::{Encoding, Form},
};

use crate::cluster::catalog::fixture::Fixture;

on_both!(
    a_report_counts_once_and_a_store_sends_no_more_than_it_may,
    launches_that_are_alike_are_counted_together,
    old_reports_go_and_those_of_a_forgotten_store_too,
);

/// A launch that installed a snapshot within so many seconds.
fn launch(number: u32, seconds: u64) -> LaunchReport {
    LaunchReport {
        launch: format!("00000000-0000-4000-8000-{number:012x}")
            .parse()
            .unwrap(),
        platform: Platform::Node,
        outcome: Outcome::Installed,
        reason: None,
        form: Some(Form::Compact),
        encoding: Some(Encoding::Gzip),
        bytes: 1_000,
        resumes: number % 2,
        stages: [(Stage::Downloading, Duration::from_secs(seconds))].into(),
        sdk: None,
        package: Some("0.2.0".to_owned()),
        core: None,
    }
}

fn store(id: &str) -> StoreId {
    StoreId::new(id).unwrap()
}

async fn a_report_counts_once_and_a_store_sends_no_more_than_it_may(fixture: Fixture) {
    let catalog = &fixture.catalog;
    let record = async |of: &str, number| {
        let report = launch(number, 1);
        catalog.record_report(&store(of), &report, 2).await.unwrap()
    };
    assert_eq!(record("a", 1).await, Received::New);
    assert_eq!(record("a", 1).await, Received::Known);
    assert_eq!(record("a", 2).await, Received::New);
    let Received::TooMany { wait } = record("a", 3).await else {
        panic!("a third in an hour");
    };
    assert!(wait > Duration::from_secs(3_000) && wait <= Duration::from_secs(3_600));
    assert_eq!(record("a", 2).await, Received::Known, "a retry is no third");
    // Another store's launches are its own, whatever their ids are.
    assert_eq!(record("b", 1).await, Received::New);
    let earlier = (Utc::now() - TimeDelta::minutes(61)).timestamp_millis();
    fixture
        .execute(&format!("UPDATE reports SET received_at = {earlier}"))
        .await;
    assert_eq!(record("a", 3).await, Received::New);
}

async fn launches_that_are_alike_are_counted_together(fixture: Fixture) {
    let catalog = &fixture.catalog;
    let since = Utc::now() - TimeDelta::days(1);
    assert_eq!(catalog.launch_groups(since).await.unwrap(), []);
    assert_eq!(catalog.launch_days(since).await.unwrap(), []);
    for number in 1..=20 {
        let report = launch(number, u64::from(number));
        catalog
            .record_report(&store("a"), &report, 100)
            .await
            .unwrap();
    }
    let fallback = LaunchReport {
        outcome: Outcome::Sync,
        reason: Some(Reason::NoSnapshot),
        form: None,
        encoding: None,
        bytes: 0,
        stages: [].into(),
        ..launch(21, 0)
    };
    catalog
        .record_report(&store("b"), &fallback, 100)
        .await
        .unwrap();
    let groups = catalog.launch_groups(since).await.unwrap();
    let [installed, synced] = &groups[..] else {
        panic!("{groups:?}");
    };
    assert_eq!(
        (installed.launches, installed.resumed, installed.bytes),
        (20, 10, 20_000)
    );
    assert_eq!(
        (installed.p50_millis, installed.p95_millis),
        (10_000, 19_000)
    );
    assert_eq!(installed.form.as_deref(), Some("compact"));
    assert_eq!(
        (synced.launches, synced.reason.as_deref()),
        (1, Some("no_snapshot"))
    );
    assert_eq!((synced.p50_millis, &*synced.outcome), (0, "sync"));
    let days = catalog.launch_days(since).await.unwrap();
    let all: u64 = days.iter().map(|day| day.launches).sum();
    let installed: u64 = days.iter().map(|day| day.installed).sum();
    assert_eq!((all, installed), (21, 20));
    let later = Utc::now() + TimeDelta::minutes(1);
    assert_eq!(catalog.launch_groups(later).await.unwrap(), []);
}

async fn old_reports_go_and_those_of_a_forgotten_store_too(fixture: Fixture) {
    let catalog = &fixture.catalog;
    let long_ago = (Utc::now() - TimeDelta::days(200)).timestamp_millis();
    fixture
        .execute(&format!(
            "INSERT INTO stores (store_id, seen_in, position, retired_at) \
             VALUES ('gone', 'x', 1, {long_ago}), ('there', 'x', 2, NULL)"
        ))
        .await;
    for (number, of) in [(1, "gone"), (2, "there"), (3, "there")] {
        let report = launch(number, 1);
        catalog
            .record_report(&store(of), &report, 100)
            .await
            .unwrap();
    }
    fixture
        .execute(&format!(
            "UPDATE reports SET received_at = {long_ago} \
             WHERE launch = '00000000-0000-4000-8000-000000000003'"
        ))
        .await;
    let before = Utc::now() - TimeDelta::days(90);
    let counted = async || {
        let all = Utc::now() - TimeDelta::days(300);
        let groups = catalog.launch_groups(all).await.unwrap();
        groups.iter().map(|group| group.launches).sum::<u64>()
    };
    assert_eq!(
        catalog
            .forget_aged(Aged::Reports, before, true)
            .await
            .unwrap(),
        1
    );
    assert_eq!(counted().await, 3, "a dry run removes nothing");
    assert_eq!(
        catalog
            .forget_aged(Aged::Reports, before, false)
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        catalog
            .forget_aged(Aged::Reports, before, false)
            .await
            .unwrap(),
        0
    );
    let forgotten = catalog.forget_runs_and_stores(before).await.unwrap();
    assert_eq!(forgotten.stores, 1);
    assert_eq!(
        counted().await,
        1,
        "what is left is the store's that is there"
    );
}
