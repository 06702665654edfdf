//! Looking around: pages of runs, jobs and stores, how fresh they are, and who starts what is scheduled.

use chrono::{DateTime, TimeDelta, Utc};
use seedbed::catalog::{Age, Freshness, JobFilter, JobState, RunState, SnapshotState, StoreSearch};
use seedbed_protocol::{JobId, RunId, StoreId};

use super::fixture::{FULL_SWEEP, Fixture, at, completed, failed, started};

on_both!(
    stores_are_counted_by_the_age_of_their_live_snapshot,
    stores_are_searched_by_name_age_and_state,
    jobs_of_a_run_come_in_pages,
    runs_come_in_pages_with_what_their_own_jobs_add_up_to,
    a_store_has_a_history,
    a_scheduled_time_is_claimed_once,
    only_failed_jobs_of_chosen_stores_are_retried,
);

/// Snapshots are half an hour old now.
fn later(hours: i64) -> DateTime<Utc> {
    Utc::now() + TimeDelta::hours(hours)
}

fn search(text: &str) -> StoreSearch {
    StoreSearch {
        search: Some(text.to_owned()),
        ..StoreSearch::default()
    }
}

async fn names(fixture: &Fixture, search: &StoreSearch, hours: i64) -> Vec<String> {
    let now = later(hours);
    let page = fixture.catalog.stores_page(search, None, 100, now);
    let (stores, _) = page.await.unwrap();
    let names: Vec<String> = stores.iter().map(|s| s.store_id.to_string()).collect();
    let counted = fixture.catalog.count_stores(search, now).await.unwrap();
    assert_eq!(counted, names.len() as u64);
    names
}

async fn stores_are_counted_by_the_age_of_their_live_snapshot(fixture: Fixture) {
    fixture.seed(&["a", "b", "gone"]).await;
    fixture.list(&["a", "b", "new"], FULL_SWEEP).await;
    for (hours, expected) in [
        (
            0,
            Freshness {
                hour: 2,
                never: 1,
                ..Freshness::default()
            },
        ),
        (
            1,
            Freshness {
                six_hours: 2,
                never: 1,
                ..Freshness::default()
            },
        ),
        (
            6,
            Freshness {
                day: 2,
                never: 1,
                ..Freshness::default()
            },
        ),
        (
            24,
            Freshness {
                older: 2,
                never: 1,
                ..Freshness::default()
            },
        ),
    ] {
        let freshness = fixture.catalog.freshness(later(hours)).await;
        assert_eq!(freshness.unwrap(), expected, "after {hours} hours");
    }
}

async fn stores_are_searched_by_name_age_and_state(fixture: Fixture) {
    let (_, jobs) = fixture.run(&["Alpha", "al%pha", "al_pha", "beta"]).await;
    fixture.apply(completed(&jobs[0], 1)).await;
    fixture.apply(failed(&jobs[1], 1, false)).await;
    fixture.apply(started(&jobs[2], 1)).await;
    assert_eq!(names(&fixture, &search("ALPHA"), 0).await, ["Alpha"]);
    assert_eq!(names(&fixture, &search("%"), 0).await, ["al%pha"]);
    assert_eq!(names(&fixture, &search("_"), 0).await, ["al_pha"]);
    assert_eq!(names(&fixture, &search("a"), 0).await.len(), 4);
    assert!(
        names(&fixture, &search("'; DROP TABLE stores; --\0"), 0)
            .await
            .is_empty()
    );
    let of_state = |state: JobState| StoreSearch {
        state: Some(state),
        ..StoreSearch::default()
    };
    assert_eq!(
        names(&fixture, &of_state(JobState::Failed), 0).await,
        ["al%pha"]
    );
    assert_eq!(
        names(&fixture, &of_state(JobState::Running), 0).await,
        ["al_pha"]
    );
    let of_age = |age| StoreSearch {
        age: Some(age),
        ..StoreSearch::default()
    };
    assert_eq!(names(&fixture, &of_age(Age::Hour), 0).await, ["Alpha"]);
    assert_eq!(names(&fixture, &of_age(Age::Older), 48).await, ["Alpha"]);
    assert_eq!(names(&fixture, &of_age(Age::Never), 48).await.len(), 3);

    let all = StoreSearch::default();
    let (first, after) = fixture
        .catalog
        .stores_page(&all, None, 3, at(0))
        .await
        .unwrap();
    assert_eq!(after.as_ref(), Some(&first[2].store_id));
    let (rest, end) = fixture
        .catalog
        .stores_page(&all, after.as_ref(), 3, at(0))
        .await
        .unwrap();
    assert_eq!((first.len(), rest.len(), end), (3, 1, None));
}

async fn jobs_of_a_run_come_in_pages(fixture: Fixture) {
    let (run_id, jobs) = fixture.run(&["c", "a", "b"]).await;
    fixture.apply(failed(&jobs[1], 1, false)).await;
    fixture.catalog.retry_failed(None, &[]).await.unwrap();
    let all = JobFilter::default();
    let page = async |after, limit| {
        let page = fixture.catalog.jobs_page(run_id, &all, after, limit).await;
        let (jobs, next) = page.unwrap();
        let names: Vec<String> = jobs.iter().map(|job| job.store_id.to_string()).collect();
        (names, next)
    };
    let (first, next) = page(None, 2).await;
    assert_eq!(first, ["c", "a"], "in the order of the list");
    let (rest, end) = page(next, 2).await;
    assert_eq!((rest, end), (vec!["b".to_owned()], None));
    let failed = JobFilter {
        state: Some(JobState::Failed),
        search: Some("A".to_owned()),
    };
    let (failed, _) = fixture
        .catalog
        .jobs_page(run_id, &failed, None, 5)
        .await
        .unwrap();
    assert_eq!(
        failed.len(),
        1,
        "the one that took its place is in another run"
    );
    assert_eq!(failed[0].job_id, jobs[1].job_id);
    let failure = failed[0].failure.as_ref().unwrap();
    assert!(failure.step.is_some() && failure.kind.is_some());
    let other = fixture
        .catalog
        .jobs_page(RunId::new(), &all, None, 5)
        .await
        .unwrap();
    assert_eq!(other, (Vec::new(), None));
}

async fn runs_come_in_pages_with_what_their_own_jobs_add_up_to(fixture: Fixture) {
    let mut runs = Vec::new();
    for stores in [&["a"][..], &["a", "b"], &["a", "b", "c"]] {
        let jobs = fixture.seed(stores).await;
        runs.push(jobs[0].run_id);
        fixture.catalog.finish_runs().await.unwrap();
    }
    let (first, after) = fixture.catalog.runs_page(None, None, 2).await.unwrap();
    assert_eq!((first[0].run_id, first[1].run_id), (runs[2], runs[1]));
    assert_eq!((first[0].totals.stores, first[1].totals.stores), (3, 2));
    assert_eq!(first[0].totals.rows, first[1].totals.rows / 2 * 3);
    assert_eq!(first[0].kind, "run");
    assert_eq!(after, Some((first[1].started_at, first[1].run_id)));
    let (rest, end) = fixture.catalog.runs_page(None, after, 2).await.unwrap();
    assert_eq!(end, None);
    assert_eq!(
        (rest.len(), rest[0].run_id, rest[0].totals.stores),
        (1, runs[0], 1)
    );
    let completed = fixture
        .catalog
        .runs_page(Some(RunState::Completed), None, 5)
        .await;
    assert_eq!(completed.unwrap().0.len(), 3);
    assert!(
        fixture
            .catalog
            .runs_page(Some(RunState::Failed), None, 5)
            .await
            .unwrap()
            .0
            .is_empty()
    );
    let found = fixture.catalog.find_run(runs[1]).await.unwrap();
    assert_eq!(found.as_ref(), Some(&first[1]));
    assert_eq!(fixture.catalog.find_run(RunId::new()).await.unwrap(), None);
}

async fn a_store_has_a_history(fixture: Fixture) {
    let earlier = fixture.seed(&["a"]).await;
    let (_, later) = fixture.run(&["a", "b"]).await;
    fixture.apply(failed(&later[0], 1, false)).await;
    let store_id = StoreId::new("a").unwrap();
    let history = fixture
        .catalog
        .store_history(&store_id)
        .await
        .unwrap()
        .unwrap();
    let jobs: Vec<JobId> = history.jobs.iter().map(|job| job.job_id).collect();
    assert_eq!(jobs, [later[0].job_id, earlier[0].job_id]);
    assert_eq!(history.store.job.as_ref(), Some(&history.jobs[0]));
    assert!(history.jobs[0].failure.is_some() && history.jobs[1].failure.is_none());
    assert_eq!(history.snapshots.len(), 1);
    assert_eq!(history.snapshots[0].state, SnapshotState::Live);
    let made = history.snapshots[0].manifest.created_at.timestamp_millis();
    assert_eq!(
        history.store.snapshot_at.map(|at| at.timestamp_millis()),
        Some(made)
    );
    assert_eq!(
        history.store.rows,
        Some(history.snapshots[0].manifest.rows())
    );
    let nowhere = StoreId::new("nowhere").unwrap();
    assert_eq!(fixture.catalog.store_history(&nowhere).await.unwrap(), None);

    let newest = fixture
        .catalog
        .newest_attempt(&store_id)
        .await
        .unwrap()
        .unwrap();
    assert!(!newest.in_flight);
    let other = StoreId::new("b").unwrap();
    let newest = fixture
        .catalog
        .newest_attempt(&other)
        .await
        .unwrap()
        .unwrap();
    assert!(newest.in_flight);
    assert_eq!(
        fixture.catalog.newest_attempt(&nowhere).await.unwrap(),
        None
    );
}

async fn a_scheduled_time_is_claimed_once(fixture: Fixture) {
    let catalogs = [
        fixture.another().await,
        fixture.another().await,
        fixture.another().await,
    ];
    for (seconds, expected) in [(0, 1), (60, 1), (30, 0)] {
        let claims = catalogs
            .iter()
            .map(|catalog| catalog.claim_schedule(at(seconds), std::time::Duration::from_secs(60)));
        let claimed = futures::future::try_join_all(claims).await.unwrap();
        let claimed = claimed.into_iter().flatten().count();
        assert_eq!(claimed, expected, "{seconds}");
    }
}

async fn only_failed_jobs_of_chosen_stores_are_retried(fixture: Fixture) {
    let (run_id, jobs) = fixture.run(&["a", "b"]).await;
    for job in &jobs {
        fixture.apply(failed(job, 1, false)).await;
    }
    let chosen = [StoreId::new("b").unwrap(), StoreId::new("nowhere").unwrap()];
    let retried = fixture
        .catalog
        .retry_failed(Some(run_id), &chosen)
        .await
        .unwrap();
    assert_eq!((retried.jobs, retried.skipped), (1, 0));
    let again = fixture.listed(*retried.runs.first().unwrap()).await;
    assert_eq!(again[0].scope.store_id.as_str(), "b");
}
