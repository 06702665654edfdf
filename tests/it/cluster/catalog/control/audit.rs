//! The audit log: pages, searches, and what is removed.

use chrono::TimeDelta;
use seedbed::catalog::{Aged, Deed};

use crate::cluster::catalog::fixture::Fixture;

fn deed(action: &str, subject: &str) -> Deed {
    Deed {
        actor: "Ann".to_owned(),
        origin: "10.0.0.7".to_owned(),
        action: action.to_owned(),
        subject: subject.to_owned(),
        detail: String::new(),
    }
}

async fn an_action_is_there_before_it_ends_and_pages_have_each_once(fixture: Fixture) {
    let catalog = &fixture.catalog;
    for number in 0..5 {
        let entry = deed("run.start", &format!("run-{number}"));
        let entry = catalog.begin_deed(&entry).await.unwrap();
        if number > 0 {
            catalog.end_deed(&entry, "done").await.unwrap();
        }
    }
    let (mut subjects, mut after) = (Vec::new(), None);
    loop {
        let (entries, next) = fixture
            .another()
            .await
            .audit_page(None, after, 2)
            .await
            .unwrap();
        subjects.extend(
            entries
                .into_iter()
                .map(|entry| (entry.subject.unwrap(), entry.outcome)),
        );
        after = next;
        if after.is_none() {
            break;
        }
    }
    let expected = (0..5).rev().map(|number| {
        let outcome = (number > 0).then(|| "done".to_owned());
        (format!("run-{number}"), outcome)
    });
    assert_eq!(subjects, expected.collect::<Vec<_>>());
}

async fn a_search_finds_actors_actions_and_subjects_as_they_are_written(fixture: Fixture) {
    let catalog = &fixture.catalog;
    for (action, subject) in [("store.seed", "100%"), ("run.retry", "a_b"), ("gc", "")] {
        catalog.begin_deed(&deed(action, subject)).await.unwrap();
    }
    for (search, found) in [
        ("ANN", 3),
        ("seed", 1),
        ("%", 1),
        ("_", 1),
        ("nobody", 0),
        ("10.0", 0),
    ] {
        let (entries, _) = catalog.audit_page(Some(search), None, 10).await.unwrap();
        assert_eq!(entries.len(), found, "{search}");
    }
}

async fn what_is_older_than_it_is_kept_goes_and_no_text_is_too_long(fixture: Fixture) {
    let catalog = &fixture.catalog;
    let long = Deed {
        detail: "\0x".repeat(100_000),
        ..deed("run.start", "")
    };
    catalog.begin_deed(&long).await.unwrap();
    let (entries, _) = catalog.audit_page(None, None, 10).await.unwrap();
    assert_eq!(entries[0].detail.as_ref().unwrap().chars().count(), 2_000);
    assert_eq!(entries[0].subject, None);
    let now = catalog.now().await.unwrap();
    let before = now - TimeDelta::hours(1);
    assert_eq!(
        catalog
            .forget_aged(Aged::Audit, before, false)
            .await
            .unwrap(),
        0
    );
    let after = now + TimeDelta::hours(1);
    assert_eq!(
        catalog.forget_aged(Aged::Audit, after, true).await.unwrap(),
        1
    );
    assert_eq!(
        catalog
            .forget_aged(Aged::Audit, after, false)
            .await
            .unwrap(),
        1
    );
    assert_eq!(catalog.audit_page(None, None, 10).await.unwrap().0, []);
}

on_both!(
    an_action_is_there_before_it_ends_and_pages_have_each_once,
    a_search_finds_actors_actions_and_subjects_as_they_are_written,
    what_is_older_than_it_is_kept_goes_and_no_text_is_too_long,
);
