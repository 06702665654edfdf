//! Stores that are forgotten: their rows, what is still reported of them, and lists.

use std::time::Duration;

use seedbed::catalog::{Applied, CatalogError, ForgottenRows, Quarantine, Sweep};
use seedbed_protocol::StoreId;

use crate::cluster::catalog::fixture::{
    FULL_SWEEP, Fixture, SKIP, completed, list, manifest, scope, started,
};

on_both!(
    nothing_of_a_forgotten_store_stays_or_comes_back,
    a_store_that_is_allowed_again_keeps_what_is_new,
    a_store_that_nobody_knows_is_kept_out_all_the_same,
);

/// A sweep over all stores, of which nobody has chosen one.
const SWEPT: Sweep = Sweep {
    quarantine: Some(Quarantine {
        after: 0,
        pause: Duration::ZERO,
        max_pause: Duration::ZERO,
    }),
    ..FULL_SWEEP
};

const WATCH: Duration = Duration::from_secs(3_600);

fn id(store: &str) -> StoreId {
    StoreId::new(store).unwrap()
}

async fn nothing_of_a_forgotten_store_stays_or_comes_back(fixture: Fixture) {
    let catalog = &fixture.catalog;
    let first = fixture.seed(&["a", "b"]).await;
    let (run_id, jobs) = fixture.run(&["a"]).await;
    fixture.apply(started(&jobs[0], 1)).await;
    let rows = catalog.forget_store(&id("a"), WATCH).await.unwrap();
    let expected = ForgottenRows {
        snapshots: 1,
        jobs: 2,
        in_flight: 1,
        reports: 0,
    };
    assert_eq!(rows, expected);
    assert_eq!(fixture.live("a").await, None);
    assert!(catalog.store_history(&id("a")).await.unwrap().is_none());
    // The run ends without it.
    catalog.finish_runs().await.unwrap();
    assert_eq!(fixture.run_state(run_id).await, "completed");
    assert_eq!(catalog.forgotten_stores(false).await.unwrap().len(), 1);
    catalog.objects_are_removed(&id("a")).await.unwrap();
    assert_eq!(catalog.forgotten_stores(false).await.unwrap(), []);
    // Late reports change nothing, and have the objects looked for again.
    for event in [
        started(&jobs[0], 2),
        completed(&jobs[0], 2),
        completed(&first[0], 1),
    ] {
        assert_eq!(fixture.apply(event).await, Applied::Ignored);
    }
    assert_eq!(catalog.forgotten_stores(false).await.unwrap().len(), 1);
    assert_eq!(fixture.live("a").await, None);
    assert!(!catalog.restore(&manifest(&first[0], 1)).await.unwrap());

    let listed = fixture.list(&["a", "b"], SWEPT).await;
    assert_eq!((listed.jobs, listed.forgotten, listed.retired), (1, 1, 0));
    // A person who names it is told.
    let mut chosen = catalog.list_run(SKIP).await.unwrap();
    chosen.add(scope("a"), 1).await.unwrap();
    assert!(matches!(
        chosen.commit().await,
        Err(CatalogError::Forgotten { .. })
    ));
    assert_eq!(fixture.live("b").await, Some(first[1].job_id));
}

async fn a_store_that_is_allowed_again_keeps_what_is_new(fixture: Fixture) {
    let catalog = &fixture.catalog;
    let (_, old) = fixture.run(&["a"]).await;
    catalog.forget_store(&id("a"), WATCH).await.unwrap();
    assert!(catalog.allow_store(&id("a")).await.unwrap());
    assert!(!catalog.allow_store(&id("a")).await.unwrap());
    let new = fixture.seed(&["a"]).await;
    assert!(new[0].job_id > old[0].job_id);
    assert_eq!(fixture.live("a").await, Some(new[0].job_id));
    assert_eq!(fixture.apply(completed(&old[0], 1)).await, Applied::Ignored);
    assert_eq!(fixture.live("a").await, Some(new[0].job_id));
    let watched = catalog.forgotten_stores(true).await.unwrap();
    assert!(watched[0].is_allowed);
    assert_eq!(watched[0].last_job, Some(old[0].job_id));
    // After its time it is a store like any other.
    fixture
        .execute("UPDATE forgotten SET watch_until = 1")
        .await;
    catalog.objects_are_removed(&id("a")).await.unwrap();
    assert_eq!(catalog.forgotten_stores(true).await.unwrap(), []);
}

async fn a_store_that_nobody_knows_is_kept_out_all_the_same(fixture: Fixture) {
    let catalog = &fixture.catalog;
    let rows = catalog.forget_store(&id("new"), WATCH).await.unwrap();
    assert_eq!(rows, ForgottenRows::default());
    let listed = list(&fixture.another().await, &["new", "a"], SWEPT).await;
    assert_eq!((listed.jobs, listed.forgotten), (1, 1));
}
