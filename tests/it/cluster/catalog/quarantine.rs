//! Which stores a sweep quarantines.

use std::time::Duration;

use seedbed::catalog::{Listed, PendingJob, Quarantine, QuarantinedStore, Sweep};
use seedbed_protocol::message::{EventKind, Failure, FailureKind, SeedEvent};

use super::fixture::{CHANGED, FULL_SWEEP, Fixture, completed, event, failed};

on_both!(
    a_store_that_fails_alone_so_often_is_quarantined,
    a_reason_of_several_stores_quarantines_none,
    a_reason_that_turns_out_to_be_shared_ends_a_quarantine,
    another_reason_or_a_transient_one_starts_a_new_row,
    a_sweep_without_a_success_says_nothing,
    chosen_stores_are_seeded_and_do_not_count,
    a_probe_counts_only_for_its_store,
    a_list_of_changes_counts_what_it_leaves_out,
);

const AFTER_TWO: Quarantine = Quarantine {
    after: 2,
    pause: Duration::from_secs(3_600),
    max_pause: Duration::from_secs(86_400),
};

const SWEEP: Sweep = Sweep {
    quarantine: Some(AFTER_TWO),
    ..FULL_SWEEP
};

/// It failed for good, and no retry of it could help.
fn refused(job: &PendingJob, message: &str) -> SeedEvent {
    let failure = Failure {
        kind: FailureKind::Permanent,
        step: "sync".to_owned(),
        message: message.to_owned(),
        retry_at: None,
    };
    event(job, 1, EventKind::Failed(failure))
}

impl Fixture {
    /// Sweeps over `stores`: those with a message fail for it, the others are seeded.
    async fn sweep(&self, options: Sweep, stores: &[(&str, Option<&str>)]) -> Listed {
        let ids: Vec<&str> = stores.iter().map(|(store, _)| *store).collect();
        let listed = self.list(&ids, options).await;
        for job in self.listed(listed.run_id.unwrap()).await {
            let of_store = |(store, _): &&(&str, _)| *store == job.scope.store_id.as_str();
            let message = stores
                .iter()
                .find(of_store)
                .and_then(|(_, message)| *message);
            let outcome = message.map_or_else(|| completed(&job, 1), |it| refused(&job, it));
            self.apply(outcome).await;
        }
        self.catalog.finish_runs().await.unwrap();
        listed
    }

    async fn quarantined(&self) -> Vec<QuarantinedStore> {
        let stores = self
            .catalog
            .quarantined_stores(AFTER_TWO, 10)
            .await
            .unwrap();
        let count = self.catalog.count_quarantined(AFTER_TWO).await.unwrap();
        assert_eq!(count, stores.len() as u64);
        stores
    }
}

const BROKEN: Option<&str> = Some("answered 403 PSYNC_S2305: 1200 buckets");

async fn a_store_that_fails_alone_so_often_is_quarantined(fixture: Fixture) {
    let stores = [("a", BROKEN), ("b", None)];
    fixture.sweep(SWEEP, &stores).await;
    assert!(fixture.quarantined().await.is_empty());
    fixture.sweep(SWEEP, &stores).await;
    let quarantined = fixture.quarantined().await;
    assert_eq!(quarantined[0].store_id.as_str(), "a");
    assert_eq!(quarantined[0].failing.reason, "sync: PSYNC_S2305");
    let listed = fixture.sweep(SWEEP, &stores).await;
    assert_eq!((listed.jobs, listed.quarantined, listed.retired), (1, 1, 0));
    let never = Quarantine {
        after: 0,
        ..AFTER_TWO
    };
    assert_eq!(fixture.catalog.count_quarantined(never).await.unwrap(), 0);
    let not_any_more = Sweep {
        quarantine: Some(never),
        ..SWEEP
    };
    let listed = fixture
        .sweep(not_any_more, &[("a", None), ("b", None)])
        .await;
    assert_eq!((listed.jobs, listed.quarantined), (2, 0));
    assert!(fixture.quarantined().await.is_empty(), "it succeeded");
}

async fn a_reason_of_several_stores_quarantines_none(fixture: Fixture) {
    let other_ids = Some("answered 403 PSYNC_S2305: 1333 buckets");
    for _ in 0..3 {
        let listed = fixture
            .sweep(SWEEP, &[("a", BROKEN), ("b", other_ids), ("c", None)])
            .await;
        assert_eq!(listed.jobs, 3);
        let run = listed.run_id.unwrap();
        assert_eq!(fixture.run_state(run).await, "failed");
    }
    assert!(fixture.quarantined().await.is_empty());
}

async fn a_reason_that_turns_out_to_be_shared_ends_a_quarantine(fixture: Fixture) {
    for _ in 0..2 {
        fixture.sweep(SWEEP, &[("a", BROKEN), ("b", None)]).await;
    }
    assert_eq!(fixture.quarantined().await.len(), 1);
    // The first store is skipped; it has the same reason all the same.
    fixture
        .sweep(SWEEP, &[("a", BROKEN), ("b", BROKEN), ("c", None)])
        .await;
    assert!(fixture.quarantined().await.is_empty());
}

async fn another_reason_or_a_transient_one_starts_a_new_row(fixture: Fixture) {
    let other = Some("the schema has no table \"prices\"");
    fixture.sweep(SWEEP, &[("a", BROKEN), ("b", None)]).await;
    fixture.sweep(SWEEP, &[("a", other), ("b", None)]).await;
    assert!(fixture.quarantined().await.is_empty());
    let listed = fixture.list(&["a", "b"], SWEEP).await;
    let jobs = fixture.listed(listed.run_id.unwrap()).await;
    fixture.apply(failed(&jobs[0], 1, false)).await;
    fixture.apply(completed(&jobs[1], 1)).await;
    fixture.catalog.finish_runs().await.unwrap();
    fixture.sweep(SWEEP, &[("a", other), ("b", None)]).await;
    assert!(fixture.quarantined().await.is_empty());
    fixture.sweep(SWEEP, &[("a", other), ("b", None)]).await;
    assert_eq!(fixture.quarantined().await.len(), 1);
}

async fn a_sweep_without_a_success_says_nothing(fixture: Fixture) {
    for _ in 0..3 {
        fixture.sweep(SWEEP, &[("a", BROKEN)]).await;
    }
    assert!(fixture.quarantined().await.is_empty());
}

async fn chosen_stores_are_seeded_and_do_not_count(fixture: Fixture) {
    for _ in 0..2 {
        fixture.sweep(SWEEP, &[("a", BROKEN), ("b", None)]).await;
    }
    let chosen = Sweep {
        quarantine: None,
        ..SWEEP
    };
    for _ in 0..2 {
        let listed = fixture.sweep(chosen, &[("a", BROKEN), ("b", None)]).await;
        assert_eq!(listed.jobs, 2);
        let run = listed.run_id.unwrap();
        assert_eq!(fixture.run_state(run).await, "failed");
    }
    assert_eq!(fixture.quarantined().await[0].failing.sweeps, 2);
    let retried = fixture.catalog.retry_failed(None, &[]).await.unwrap();
    assert_eq!(retried.jobs, 1);
    let again = fixture.listed(*retried.runs.first().unwrap()).await;
    fixture.apply(completed(&again[0], 1)).await;
    assert!(fixture.quarantined().await.is_empty());
}

async fn a_probe_counts_only_for_its_store(fixture: Fixture) {
    let at_once = Sweep {
        quarantine: Some(Quarantine {
            pause: Duration::ZERO,
            ..AFTER_TWO
        }),
        ..SWEEP
    };
    let stores = [("a", BROKEN), ("b", None)];
    for _ in 0..2 {
        fixture.sweep(at_once, &stores).await;
    }
    let listed = fixture.sweep(at_once, &stores).await;
    let run = listed.run_id.unwrap();
    assert_eq!(fixture.run_state(run).await, "completed");
    let totals = fixture.catalog.totals(run).await.unwrap();
    assert_eq!(
        (totals.seeded, totals.failed, totals.quarantined),
        (1, 0, 1)
    );
    assert!(totals.all_well());
    // For whatever reason it fails, it stays in quarantine.
    let other = [("a", Some("the schema has no table")), ("b", None)];
    fixture.sweep(at_once, &other).await;
    assert_eq!(fixture.quarantined().await[0].failing.sweeps, 4);
    let listed = fixture.list(&["a"], at_once).await;
    let jobs = fixture.listed(listed.run_id.unwrap()).await;
    fixture.apply(refused(&jobs[0], "no table")).await;
    fixture.catalog.finish_runs().await.unwrap();
    let alone = listed.run_id.unwrap();
    assert_eq!(
        fixture.run_state(alone).await,
        "failed",
        "nothing succeeded"
    );
    let totals = fixture.catalog.totals(alone).await.unwrap();
    assert!(!totals.all_well());
}

async fn a_list_of_changes_counts_what_it_leaves_out(fixture: Fixture) {
    let changes = Sweep {
        quarantine: Some(AFTER_TWO),
        ..CHANGED
    };
    fixture.sweep(SWEEP, &[("a", BROKEN), ("b", None)]).await;
    // The store is added by itself, since its last job failed.
    let listed = fixture.list(&[], changes).await;
    assert_eq!((listed.jobs, listed.added), (1, 1));
    let jobs = fixture.listed(listed.run_id.unwrap()).await;
    fixture.apply(refused(&jobs[0], BROKEN.unwrap())).await;
    fixture.catalog.finish_runs().await.unwrap();
    assert_eq!(fixture.quarantined().await.len(), 1);
    let listed = fixture.list(&[], changes).await;
    assert_eq!((listed.run_id, listed.quarantined), (None, 1));
    assert!(!listed.nothing_but_quarantined, "the other store is fine");
}
