//! A run beside the one before it.

use std::time::Duration;

use seedbed::catalog::{CatalogError, PendingJob, Quarantine, ShortRunId, Sweep};
use seedbed_protocol::{RunId, message::SeedEvent};

use crate::cluster::catalog::fixture::{
    FULL_SWEEP, Fixture, REFUSE, SKIP, at, completed, failed, started,
};

on_both!(
    a_run_tells_what_fails_since_what_works_again_and_what_takes_longer,
    a_sweep_is_compared_with_a_sweep_and_never_with_a_retry,
    a_run_is_found_by_the_beginning_of_its_id,
);

/// What counts as a sweep: chosen stores do not.
const SWEEP: Sweep = Sweep {
    quarantine: Some(Quarantine {
        after: 9,
        pause: Duration::from_secs(60),
        max_pause: Duration::from_secs(60),
    }),
    ..FULL_SWEEP
};

fn during(event: SeedEvent, seconds: i64) -> SeedEvent {
    SeedEvent {
        at: at(seconds),
        ..event
    }
}

/// It took so many seconds and was seeded, or it failed.
async fn end(fixture: &Fixture, job: &PendingJob, seconds: Option<i64>) {
    fixture.apply(during(started(job, 1), 0)).await;
    let outcome = match seconds {
        Some(seconds) => during(completed(job, 1), seconds),
        None => failed(job, 1, false),
    };
    fixture.apply(outcome).await;
}

impl Fixture {
    async fn timed_run(&self, stores: &[(&str, Option<i64>)]) -> RunId {
        let ids: Vec<&str> = stores.iter().map(|(store, _)| *store).collect();
        let (run_id, jobs) = self.run(&ids).await;
        for (job, (_, seconds)) in jobs.iter().zip(stores) {
            end(self, job, *seconds).await;
        }
        self.catalog.finish_runs().await.unwrap();
        run_id
    }
}

async fn a_run_tells_what_fails_since_what_works_again_and_what_takes_longer(fixture: Fixture) {
    let first = fixture
        .timed_run(&[
            ("a", Some(10)),
            ("b", None),
            ("c", None),
            ("d", Some(20)),
            ("e", Some(20)),
            ("f", Some(1)),
        ])
        .await;
    assert_eq!(fixture.catalog.compare_run(first).await.unwrap(), None);
    let second = fixture
        .timed_run(&[
            ("a", None),
            ("b", Some(5)),
            ("c", None),
            ("d", Some(50)),
            ("e", Some(24)),
            ("f", Some(3)),
            ("g", None),
        ])
        .await;
    let compared = fixture.catalog.compare_run(second).await.unwrap().unwrap();
    assert_eq!(compared.before, first.to_string());
    assert_eq!(compared.compared, 6, "g is new");
    assert_eq!(
        (
            compared.new_failures,
            compared.still_failing,
            compared.healed
        ),
        (2, 1, 1)
    );
    let failed: Vec<_> = compared
        .newly_failed
        .iter()
        .map(|it| it.store_id.as_str())
        .collect();
    assert_eq!(failed, ["a", "g"]);
    assert!(compared.newly_failed[0].key.is_some());
    assert_eq!(compared.healed_stores, ["b"]);
    assert_eq!(
        compared.slower, 1,
        "a fifth is nothing, and neither are two seconds"
    );
    let slowest = &compared.slowest[0];
    assert_eq!(slowest.store_id, "d");
    assert_eq!((slowest.seconds, slowest.before_seconds), (50.0, 20.0));
    assert!(compared.tells());
}

async fn a_sweep_is_compared_with_a_sweep_and_never_with_a_retry(fixture: Fixture) {
    let sweep = fixture.list(&["a", "b"], SWEEP).await.run_id.unwrap();
    for job in fixture.listed(sweep).await {
        end(&fixture, &job, None).await;
    }
    fixture.list(&["a"], SKIP).await;
    fixture.catalog.retry_failed(None, &[]).await.unwrap();
    fixture
        .execute("UPDATE jobs SET state = 'cancelled' WHERE state = 'listed'")
        .await;
    let next = fixture.list(&["a", "b"], SWEEP).await.run_id.unwrap();
    let compared = fixture.catalog.compare_run(next).await.unwrap().unwrap();
    assert_eq!(compared.before, sweep.to_string());
    assert!(!compared.tells(), "nothing has ended");
    fixture
        .execute("UPDATE jobs SET state = 'cancelled' WHERE state = 'listed'")
        .await;
    let chosen = fixture.list(&["a"], REFUSE).await.run_id.unwrap();
    let compared = fixture.catalog.compare_run(chosen).await.unwrap().unwrap();
    assert_eq!(compared.before, next.to_string());
}

async fn a_run_is_found_by_the_beginning_of_its_id(fixture: Fixture) {
    let (run_id, _) = fixture.run(&["a"]).await;
    let short = ShortRunId(run_id).to_string();
    assert_eq!(short.len(), 13);
    for text in [&short, &run_id.to_string().to_uppercase()] {
        assert_eq!(fixture.catalog.run_named(text).await.unwrap(), run_id);
    }
    let other = "ffffffff-0000-7000-8000-000000000000";
    fixture
        .execute(&format!(
            "INSERT INTO runs (id, kind, state, started_at) VALUES ('{other}', 'run', 'completed', 1), \
             ('ffffffff-1111-7000-8000-000000000000', 'run', 'completed', 1)"
        ))
        .await;
    for (text, several) in [("fff", true), ("0000", false), ("%", false), ("", false)] {
        match fixture.catalog.run_named(text).await {
            Err(CatalogError::RunPrefix { several: found, .. }) => {
                assert_eq!(found, several, "{text}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
}
