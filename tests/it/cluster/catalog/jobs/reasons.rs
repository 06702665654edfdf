//! Failed stores by reason: grouped, retried and quarantined together.

use std::time::{Duration, Instant};

use seedbed::catalog::{
    CatalogError, FailedJobs, FailureGroup, FailuresOf, PendingJob, Quarantine, Sweep,
};
use seedbed_protocol::{
    RunId,
    message::{EventKind, Failure, FailureKind, SeedEvent},
};

use crate::cluster::catalog::fixture::{FULL_SWEEP, Fixture, SKIP, at, completed, event, started};

on_both!(
    failures_are_grouped_by_what_they_have_in_common,
    failures_of_older_versions_get_their_reason_when_it_is_asked_for,
    a_retry_by_reason_leaves_the_others,
    a_reason_is_quarantined_until_something_succeeds,
    what_names_no_reason_changes_nothing,
    a_hundred_thousand_failures_are_grouped_at_once,
);

const AFTER_TWO: Quarantine = Quarantine {
    after: 2,
    pause: Duration::from_secs(3_600),
    max_pause: Duration::from_secs(86_400),
};

/// Jobs that failed for good, at so many seconds.
fn refused(job: &PendingJob, message: &str, seconds: i64) -> SeedEvent {
    let failure = Failure {
        kind: FailureKind::Permanent,
        step: "sync".to_owned(),
        message: message.to_owned(),
        retry_at: None,
    };
    SeedEvent {
        at: at(seconds),
        ..event(job, 1, EventKind::Failed(failure))
    }
}

impl Fixture {
    /// A run in which each of these stores fails so; one without a message is seeded.
    async fn failing_run(&self, sweep: Sweep, seconds: i64, stores: &[(&str, &str)]) -> RunId {
        let ids: Vec<&str> = stores.iter().map(|(store, _)| *store).collect();
        let run_id = self.list(&ids, sweep).await.run_id.unwrap();
        for job in self.listed(run_id).await {
            let of_store = |(store, _): &&(&str, &str)| *store == job.scope.store_id.as_str();
            let (_, message) = stores.iter().find(of_store).unwrap();
            self.apply(started(&job, 1)).await;
            let outcome = match *message {
                "" => completed(&job, 1),
                message => refused(&job, message, seconds),
            };
            self.apply(outcome).await;
        }
        self.catalog.finish_runs().await.unwrap();
        run_id
    }

    async fn groups(&self, of: FailuresOf) -> Vec<FailureGroup> {
        let groups = self.catalog.failure_groups(of, AFTER_TWO, 10).await;
        let (groups, total) = groups.unwrap();
        assert_eq!(total, groups.len() as u64);
        groups
    }
}

fn counts(groups: &[FailureGroup]) -> Vec<(&str, u64, u64, u64)> {
    let counts = |it: &FailureGroup| (it.stores, it.open, it.quarantined);
    groups
        .iter()
        .map(|group| {
            let (stores, open, quarantined) = counts(group);
            (group.reason.as_str(), stores, open, quarantined)
        })
        .collect()
}

const TOO_MANY: &str = "PowerSync at http://a:1 answered 403 PSYNC_S2305: 1200 buckets";
const FEWER: &str = "PowerSync at http://b:2 answered 403 PSYNC_S2305: 1301 buckets";
const AWAY: &str = "PowerSync at http://a:1 answered 502 Bad Gateway: try later";

async fn failures_are_grouped_by_what_they_have_in_common(fixture: Fixture) {
    let stores = [("a", TOO_MANY), ("b", FEWER), ("c", AWAY), ("d", "")];
    let first = fixture.failing_run(SKIP, 10, &stores).await;
    let stores = [("a", FEWER), ("b", ""), ("e", TOO_MANY), ("f", TOO_MANY)];
    fixture.failing_run(SKIP, 20, &stores).await;

    let now = fixture.groups(FailuresOf::Now).await;
    let away = "sync: PowerSync at … answered 502 Bad Gateway: try later";
    assert_eq!(
        counts(&now),
        [("sync: PSYNC_S2305", 3, 3, 0), (away, 1, 1, 0)],
        "b was seeded since"
    );
    let group = &now[0];
    assert_eq!(
        (group.step.as_str(), group.code.as_deref()),
        ("sync", Some("PSYNC_S2305"))
    );
    assert_eq!(now[1].code.as_deref(), Some("502"));
    assert_eq!((group.first_seen, group.last_seen), (at(10), at(20)));
    let named: Vec<&str> = group
        .examples
        .iter()
        .map(|it| it.store_id.as_str())
        .collect();
    assert_eq!(named, ["a", "e", "f"]);
    let example = &group.examples[0];
    assert_eq!((example.message.as_str(), example.at), (FEWER, at(20)));
    assert_eq!(example.trace_id.as_deref(), Some("trace-1"));
    assert_ne!(group.key, now[1].key);

    let of_first = fixture.groups(FailuresOf::Run(first)).await;
    assert_eq!(
        counts(&of_first),
        [(away, 1, 1, 0), ("sync: PSYNC_S2305", 2, 0, 0)],
        "what failed in a run stays told"
    );
    assert_eq!(of_first[1].key, group.key);
}

async fn failures_of_older_versions_get_their_reason_when_it_is_asked_for(fixture: Fixture) {
    fixture
        .failing_run(SKIP, 10, &[("a", TOO_MANY), ("b", AWAY)])
        .await;
    fixture
        .execute("UPDATE jobs SET failure_reason = NULL")
        .await;
    fixture
        .execute("UPDATE jobs SET failure_message = NULL, failure_step = NULL WHERE store_id = 'b'")
        .await;
    let groups = fixture.groups(FailuresOf::Now).await;
    assert_eq!(
        counts(&groups),
        [
            ("sync: PSYNC_S2305", 1, 1, 0),
            ("unknown: no reason was reported", 1, 1, 0)
        ]
    );
}

async fn a_retry_by_reason_leaves_the_others(fixture: Fixture) {
    let stores = [("a", TOO_MANY), ("b", FEWER), ("c", AWAY)];
    fixture.failing_run(SKIP, 10, &stores).await;
    let key = fixture.groups(FailuresOf::Now).await[0].key.clone();
    let which = FailedJobs {
        reason: Some(&key),
        ..FailedJobs::default()
    };
    let retried = fixture.catalog.retry(which).await.unwrap();
    assert_eq!((retried.jobs, retried.skipped), (2, 0));
    let run_id = *retried.runs.first().unwrap();
    let jobs = fixture.listed(run_id).await;
    let mut stores: Vec<&str> = jobs.iter().map(|job| job.scope.store_id.as_str()).collect();
    stores.sort_unstable();
    assert_eq!(stores, ["a", "b"]);
    let left = fixture.groups(FailuresOf::Now).await;
    assert_eq!(left.len(), 1, "those that are tried again fail no more");
    assert_eq!(left[0].examples[0].store_id, "c");
}

async fn a_reason_is_quarantined_until_something_succeeds(fixture: Fixture) {
    let sweep = Sweep {
        quarantine: Some(AFTER_TWO),
        ..FULL_SWEEP
    };
    let stores = [("a", TOO_MANY), ("b", FEWER), ("c", AWAY), ("d", "")];
    fixture.failing_run(sweep, 10, &stores).await;
    let groups = fixture.groups(FailuresOf::Now).await;
    let held = fixture
        .catalog
        .quarantine_reason(&groups[0].key, AFTER_TWO, "ann")
        .await
        .unwrap();
    assert_eq!(held.stores, 2);
    let groups = fixture.groups(FailuresOf::Now).await;
    assert_eq!((groups[0].open, groups[0].quarantined), (2, 2));

    // Several stores with one reason: no sweep would do that, and none ends it.
    let listed = fixture.list(&["a", "b", "c", "d"], sweep).await;
    assert_eq!((listed.jobs, listed.quarantined), (2, 2));
    for job in fixture.listed(listed.run_id.unwrap()).await {
        let outcome = match job.scope.store_id.as_str() {
            "c" => refused(&job, TOO_MANY, 20),
            _ => completed(&job, 1),
        };
        fixture.apply(outcome).await;
    }
    fixture.catalog.finish_runs().await.unwrap();
    let quarantined = fixture
        .catalog
        .quarantined_stores(AFTER_TWO, 10)
        .await
        .unwrap();
    let sweeps = |store: &str| {
        let of_store = quarantined.iter().find(|it| it.store_id.as_str() == store);
        of_store.map(|it| it.failing.sweeps)
    };
    assert_eq!(
        [sweeps("a"), sweeps("b"), sweeps("c")],
        [Some(2), Some(2), None]
    );

    // Their probe is due; it fails for a, and succeeds for b.
    fixture.execute("UPDATE failing SET failed_at = 1").await;
    let stores = [("a", AWAY), ("b", ""), ("c", AWAY), ("d", "")];
    fixture.failing_run(sweep, 30, &stores).await;
    let quarantined = fixture
        .catalog
        .quarantined_stores(AFTER_TWO, 10)
        .await
        .unwrap();
    assert_eq!(quarantined.len(), 1, "{quarantined:?}");
    assert_eq!(quarantined[0].store_id.as_str(), "a");
    let held = quarantined[0].failing.held.as_ref().unwrap();
    assert_eq!(held.by.as_deref(), Some("ann"), "it stays told who");
    assert!(held.at.is_some());
    assert_eq!(
        quarantined[0].failing.sweeps, 3,
        "the next probe comes later"
    );
    let listed = fixture.list(&["a", "b", "c", "d"], sweep).await;
    assert_eq!(listed.quarantined, 1);
}

async fn what_names_no_reason_changes_nothing(fixture: Fixture) {
    fixture.failing_run(SKIP, 10, &[("a", TOO_MANY)]).await;
    let key = fixture.groups(FailuresOf::Now).await[0].key.clone();
    let which = FailedJobs {
        reason: Some("0123456789"),
        ..FailedJobs::default()
    };
    let retried = fixture.catalog.retry(which).await;
    assert!(
        matches!(retried, Err(CatalogError::UnknownReason { .. })),
        "{retried:?}"
    );
    let held = fixture
        .catalog
        .quarantine_reason("0123456789", AFTER_TWO, "ann")
        .await;
    assert!(
        matches!(held, Err(CatalogError::UnknownReason { .. })),
        "{held:?}"
    );
    let never = Quarantine {
        after: 0,
        ..AFTER_TWO
    };
    let held = fixture.catalog.quarantine_reason(&key, never, "ann").await;
    let error = held.unwrap_err().to_string();
    assert!(error.contains("sync.quarantine_after"), "{error}");
    assert_eq!(counts(&fixture.groups(FailuresOf::Now).await)[0].3, 0);
}

async fn a_hundred_thousand_failures_are_grouped_at_once(fixture: Fixture) {
    let run_id = fixture.failing_run(SKIP, 10, &[("a", TOO_MANY)]).await;
    fixture
        .execute(&format!(
            "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 100000) \
             INSERT INTO jobs (id, run_id, store_id, position, claims, state, attempt, listed_at, finished_at, \
                 failure_kind, failure_step, failure_message, failure_reason) \
             SELECT 'job-' || n, '{run_id}', 'store-' || n, n, '{{}}', 'failed', 1, 1000, 1000 + n, 'permanent', 'sync', \
                 'message ' || n, 'sync: reason ' || (n % 7) FROM numbers"
        ))
        .await;
    let begun = Instant::now();
    let groups = fixture.groups(FailuresOf::Now).await;
    let took = begun.elapsed();
    assert_eq!(groups.len(), 8);
    let of_numbers: u64 = groups.iter().map(|group| group.open).sum();
    assert_eq!(of_numbers, 100_001);
    assert_eq!(groups[0].examples.len(), 3);
    println!("100,001 failures were grouped in {took:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
}
