//! Stores that are no longer in the source, and come back.

use rusqlite::Connection;
use seedbed_protocol::{
    StoreId,
    manifest::RenditionKind,
    snapshots::{SnapshotPart, latest_key},
};
use serde_json::json;
use testkit::{cluster::Cluster, program::stop};

use super::support::{OBJECTS, assert_told, clusters, counts, keys, live, ok};

/// Has `[source]` be a database that lists these stores.
fn set_source(cluster: &mut Cluster, stores: &[String]) {
    let file = cluster.program.path("source.db");
    let database = Connection::open(&file).unwrap();
    database
        .execute_batch("CREATE TABLE IF NOT EXISTS stores (id TEXT); DELETE FROM stores;")
        .unwrap();
    for store in stores {
        database
            .execute("INSERT INTO stores (id) VALUES (?1)", [store])
            .unwrap();
    }
    let url = format!("sqlite:{}", file.display());
    cluster.program.set("SOURCE__URL", url);
    let query = "SELECT id AS store_id FROM stores";
    cluster.program.set("SOURCE__QUERY", query);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_leaves_the_source_is_retired_and_comes_back_when_it_is_listed_again() {
    for mut cluster in clusters().await {
        cluster.program.set("SNAPSHOTS__LATEST", "true");
        let stores = cluster.add_stores(4, 5);
        let workers = cluster.start_workers(1);
        let gone = &stores[3];
        let id = StoreId::new(gone.as_str()).unwrap();
        set_source(&mut cluster, &stores);
        ok(&cluster, &["run"]).await;
        set_source(&mut cluster, &stores[..3]);
        let listed = ok(&cluster, &["run"]).await;
        assert_eq!(
            (&listed["jobs"], &listed["retired"]),
            (&json!(3), &json!(1))
        );

        let catalog = cluster.catalog().await;
        let before = keys(&cluster).await;
        assert_eq!(live(&catalog, gone).await, None, "nobody is sent to it");
        assert!(live(&catalog, &stores[0]).await.is_some());
        let young = ok(&cluster, &["gc"]).await;
        assert_eq!(counts(&young), [0; 4], "a URL may still point to it");
        cluster.program.set("RETENTION__MIN_AGE", "0s");
        let expected = ok(&cluster, &["gc", "--dry-run"]).await;
        assert_eq!(counts(&expected), [1, 0, 0, 0]);
        assert_eq!(keys(&cluster).await, before, "a dry run removes nothing");
        assert_eq!(ok(&cluster, &["gc"]).await, expected);
        let is_its = |key: &String| {
            key.starts_with(&format!("{gone}/"))
                || *key == latest_key(&id, SnapshotPart::Manifest)
                || RenditionKind::all()
                    .any(|kind| *key == latest_key(&id, SnapshotPart::Rendition(kind)))
        };
        // Those below `latest/` too.
        assert_eq!(before.iter().filter(|key| is_its(key)).count(), 2 * OBJECTS);
        let others: Vec<String> = before.into_iter().filter(|key| !is_its(key)).collect();
        assert_eq!(keys(&cluster).await, others);

        set_source(&mut cluster, &stores);
        assert_eq!(ok(&cluster, &["run"]).await["jobs"], 4);
        cluster.assert_seeded(&stores).await;
        assert_eq!(
            keys(&cluster).await.iter().filter(|k| is_its(k)).count(),
            2 * OBJECTS
        );
        catalog.close().await;
        stop(workers).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_that_finds_far_fewer_stores_changes_nothing_unless_it_is_told() {
    let mut cluster = Cluster::start().await;
    let stores = cluster.add_stores(5, 5);
    let workers = cluster.start_workers(1);
    set_source(&mut cluster, &stores);
    ok(&cluster, &["run"]).await;

    set_source(&mut cluster, &stores[..2]);
    let ended = cluster.program.run(&["run"]).await;
    assert_told(&ended, 2, "--allow-fewer-stores");
    assert_told(&ended, 2, "2 stores where there were 5");
    assert_eq!(cluster.service.metrics().total.streams, 5);
    let catalog = cluster.catalog().await;
    assert_eq!(catalog.runs(10).await.unwrap().len(), 1, "no run was made");
    cluster.assert_seeded(&stores).await;

    cluster.list(&stores[..1]);
    let listed = ok(&cluster, &["run", "--stores", "stores.ndjson"]).await;
    assert_eq!(listed["retired"], 0, "a list given once says nothing more");
    cluster.assert_seeded(&stores).await;

    let listed = ok(&cluster, &["run", "--allow-fewer-stores"]).await;
    assert_eq!(
        (&listed["jobs"], &listed["retired"]),
        (&json!(2), &json!(3))
    );
    for (index, store) in stores.iter().enumerate() {
        assert_eq!(live(&catalog, store).await.is_some(), index < 2, "{store}");
    }
    catalog.close().await;
    stop(workers).await;
}
