//! `rebuild-catalog` and `verify --sample`.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use rusqlite::Connection;
use seedbed::catalog::Catalog;
use seedbed_protocol::{manifest::Manifest, snapshots::keys_of};
use serde_json::json;
use testkit::cluster::Cluster;

use super::support::{assert_told, clusters, counts, live, ok, records, seed};

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_is_rebuilt_from_the_manifests_without_those_that_are_damaged() {
    for mut cluster in clusters().await {
        let stores = cluster.add_stores(4, 5);
        seed(&cluster, 1).await;
        let original = cluster.catalog().await;
        let first = all_live(&original).await;
        seed(&cluster, 1).await;
        let newest = all_live(&original).await;
        let rebuilt = rebuild_into(&mut cluster, "rebuilt.db").await;
        assert_eq!(all_live(&rebuilt).await, newest);
        let again = ok(&cluster, &["rebuild-catalog"]).await;
        assert_eq!(again, json!({"added": 0, "known": 8, "damaged": 0}));
        assert_eq!(all_live(&rebuilt).await, newest);
        assert_eq!(records(&rebuilt).await.len(), 8);
        // It is as good as the first: sweeps continue with it.
        assert_eq!(counts(&ok(&cluster, &["gc"]).await), [0; 4]);

        let of_store = |store: &str| keys_of(&newest[store]);
        let unreadable = &of_store(&stores[0])[0];
        std::fs::write(cluster.file_of(unreadable), "{\"not\": \"whole\"").unwrap();
        let without_file = &of_store(&stores[1])[0];
        std::fs::remove_file(cluster.file_of(&of_store(&stores[1])[1])).unwrap();
        // One that names another store would hand the rows of this one out to it.
        let foreign = &of_store(&stores[2])[0];
        let manifest = std::fs::read_to_string(cluster.file_of(foreign)).unwrap();
        let [own, other] = [2, 3].map(|store: usize| format!("\"{}\"", stores[store]));
        assert!(manifest.contains(&own), "{manifest}");
        std::fs::write(cluster.file_of(foreign), manifest.replacen(&own, &other, 1)).unwrap();
        let url = format!("sqlite:{}", cluster.program.path("partly.db").display());
        cluster.program.set("CATALOG__URL", &url);
        let ended = cluster.program.run(&["rebuild-catalog", "--json"]).await;
        assert_told(&ended, 1, unreadable);
        assert_told(&ended, 1, without_file);
        assert_told(&ended, 1, foreign);
        assert_eq!(
            ended.objects(),
            [json!({"added": 5, "known": 0, "damaged": 3})]
        );
        let partly = Catalog::open(&url).await.unwrap();
        let mut expected = newest.clone();
        for store in &stores[..3] {
            expected.insert(store.clone(), first[store].clone());
        }
        assert_eq!(all_live(&partly).await, expected);
        for catalog in [original, rebuilt, partly] {
            catalog.close().await;
        }
    }
}

async fn rebuild_into(cluster: &mut Cluster, file: &str) -> Catalog {
    let url = format!("sqlite:{}", cluster.program.path(file).display());
    cluster.program.set("CATALOG__URL", &url);
    let rebuilt = ok(cluster, &["rebuild-catalog"]).await;
    assert_eq!(rebuilt, json!({"added": 8, "known": 0, "damaged": 0}));
    Catalog::open(&url).await.unwrap()
}

/// The live snapshot of each store.
async fn all_live(catalog: &Catalog) -> BTreeMap<String, Manifest> {
    let live = catalog.snapshots(None, false);
    let live = live.map_ok(|record| (record.manifest.store_id.to_string(), record.manifest));
    live.try_collect().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_finds_the_snapshot_that_was_altered() {
    for cluster in clusters().await {
        let stores = cluster.add_stores(3, 5);
        seed(&cluster, 1).await;
        let good = cluster.program.run(&["verify", "--sample", "3"]).await;
        assert_told(&good, 0, "3 of 3 are good");
        let catalog = cluster.catalog().await;
        let altered = live(&catalog, &stores[1]).await.unwrap();
        let file = cluster.file_of(&altered.renditions[0].key);
        // Still a whole database, of the same size.
        let database = Connection::open(&file).unwrap();
        let change = "UPDATE ps_data__products SET data = replace(data, '1', '2')";
        assert!(database.execute(change, []).unwrap() > 0);
        database.close().unwrap();
        let found = cluster.program.run(&["verify", "--sample", "3"]).await;
        assert_told(&found, 1, "2 of 3 are good");
        assert_told(&found, 1, &format!("bad: {}", stores[1]));
        assert_told(&found, 1, "damaged or replaced");
        catalog.close().await;
    }
}
