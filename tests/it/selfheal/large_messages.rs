//! A store with very many buckets: messages stay small, and what is left out is found in object storage.

use std::fmt::Write as _;

use futures::TryStreamExt;
use seedbed_protocol::{StoreId, snapshots::keys_of};
use testkit::{
    cluster::Cluster,
    powersync::{PowerSync, Source, StreamDefinition, SyncConfig},
    program::stop,
};

/// So many buckets do not fit into a message.
const BUCKETS: usize = 2_500;

/// A service with a bucket for each order, and one store with very many of them.
async fn service() -> PowerSync {
    let orders = Source::lookup("orders", "id").matching("store_id", Source::claim("store_id"));
    let stream = StreamDefinition::new("orders", "orders").parameter("id", orders);
    let service = PowerSync::builder()
        .config(SyncConfig::streams([stream]))
        .max_buckets(2 * BUCKETS)
        .start();
    let service = service.await.unwrap();
    service.write(|changes| {
        for n in 0..BUCKETS {
            changes.put("orders", order(n));
        }
    });
    service
}

/// An order with a very long id, so that fewer buckets are enough.
fn order(n: usize) -> String {
    let mut id = format!("{n:08}-");
    for _ in 0..64 {
        write!(id, "{n:08x}").unwrap();
    }
    format!("{{\"id\":\"{id}\",\"store_id\":\"store-1\",\"total\":{n}}}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_with_very_many_buckets_is_seeded_and_its_snapshot_reused() {
    let service = service().await;
    let mut cluster = Cluster::start().await;
    cluster
        .program
        .set("POWERSYNC__ENDPOINT", service.endpoint());
    cluster.program.set("TOKEN__SECRET", service.secret());
    cluster.program.set("TOKEN__KID", service.kid());
    cluster.list(&["store-1".to_owned()]);
    let workers = cluster.start_workers(1);
    let store_id = StoreId::new("store-1").unwrap();
    let catalog = cluster.catalog().await;
    for way in ["full", "unchanged", "base"] {
        if way == "base" {
            service.put("orders", order(BUCKETS));
        }
        let ended = cluster.run(&[]).await;
        assert_eq!(ended.code, Some(0), "{way}: {ended}");
        let shown = cluster.status().await;
        assert_eq!(shown["ways"][0]["way"], way, "{shown}");
    }
    let live = catalog.live_snapshot(&store_id).await.unwrap().unwrap();
    assert!(
        !live.manifest.checkpoint.is_whole(),
        "the catalog stays small"
    );
    assert_eq!(live.manifest.rows(), BUCKETS as u64 + 1);
    let key = &keys_of(&live.manifest)[0];
    let stored = cluster.snapshots().get_manifest(key).await.unwrap();
    assert_eq!(stored.checkpoint.buckets.len(), BUCKETS + 1);
    let verified = cluster.program.run(&["verify", "store-1"]).await;
    assert_eq!(verified.code, Some(0), "{verified}");

    let rebuilt = cluster.program.run(&["rebuild-catalog"]).await;
    assert_eq!(rebuilt.code, Some(0), "{rebuilt}");
    let all: Vec<_> = catalog.snapshots(None, true).try_collect().await.unwrap();
    assert!(
        all.iter()
            .all(|record| !record.manifest.checkpoint.is_whole())
    );
    catalog.close().await;
    stop(workers).await;
}
