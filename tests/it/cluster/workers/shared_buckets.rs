//! What stores share is downloaded once by all workers, which are programs on a real RabbitMQ, and kept in a real S3 store.

use futures::TryStreamExt;
use seedbed_protocol::snapshots::SnapshotRepository;
use serde_json::Value;
use testkit::{
    cluster::Cluster,
    objects::ObjectServer,
    powersync::{Source, StreamDefinition, SyncConfig},
    program::{Ended, stop},
    servers::RabbitMq,
    wait,
};

/// Rows that every store has, and rows of each store's own.
const SHARED: u32 = 3_000;
const OWN: u32 = 100;

const STORES: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn workers_download_once_what_stores_share_and_gc_removes_it() {
    // In process where MinIO is not installed.
    let objects = match ObjectServer::minio().await {
        Some(minio) => minio,
        None => ObjectServer::s3().await,
    };
    let mut cluster = Cluster::on(RabbitMq::shared(), Some(objects)).await;
    let own = Source::claim("store_id");
    cluster.service.deploy(SyncConfig::streams([
        StreamDefinition::new("catalogue", "products").filter(|row| row["store_id"] == "shared"),
        StreamDefinition::new("store_products", "products").parameter("store_id", own),
    ]));
    let secret = "a secret that all workers of this test have";
    cluster.program.set("BUCKETS__SECRET", secret);
    cluster.service.add_generated_store("shared", SHARED, 100);
    let stores = cluster.add_stores(STORES, OWN);

    let workers = cluster.start_workers(3);
    let run = cluster.run(&[]).await;
    assert_eq!(run.code, Some(0), "{run}");
    cluster.assert_seeded(&stores).await;
    stop(workers).await;
    let distinct = u64::from(SHARED) + STORES as u64 * u64::from(OWN);
    let fetched = fetched(&cluster).await;
    assert!(
        fetched * 10 <= distinct * 11,
        "{fetched} operations for {distinct} distinct ones"
    );

    let snapshots = cluster.snapshots();
    let entries = kept(&snapshots, ".json").await;
    assert_eq!(entries.len(), 1, "{entries:?}");
    alter(&snapshots, &entries[0]).await;
    let mut worker = cluster.program.start_worker();
    let run = cluster.run(&["--full"]).await;
    assert_eq!(run.code, Some(0), "{run}");
    cluster.assert_seeded(&stores).await;
    let dropped = "its HMAC is wrong";
    worker
        .until("the altered entry is dropped", |worker| {
            (worker.output() + &worker.error()).contains(dropped)
        })
        .await;
    stop(vec![worker]).await;
    wait::until("it is made anew", async || {
        kept(&snapshots, ".json").await.len() == 1
    })
    .await;

    let young = gc(&cluster).await;
    assert_eq!(young.objects().remove(0)["buckets"]["objects"], 0);
    cluster.program.set("BUCKETS__KEEP", "1ms");
    cluster.program.set("RETENTION__ORPHAN_AGE", "1ms");
    let old = gc(&cluster).await;
    assert!(old.objects().remove(0)["buckets"]["objects"].as_u64() >= Some(2));
    assert!(kept(&snapshots, "").await.is_empty());
    cluster.assert_seeded(&stores).await;
}

/// How many operations the jobs of all live snapshots downloaded.
async fn fetched(cluster: &Cluster) -> u64 {
    let catalog = cluster.catalog().await;
    let live: Vec<_> = catalog.snapshots(None, false).try_collect().await.unwrap();
    catalog.close().await;
    let operations = live.iter().map(|live| live.manifest.download.operations);
    operations.sum()
}

/// The keys of the cache that end so.
async fn kept(snapshots: &SnapshotRepository, ending: &str) -> Vec<String> {
    let objects: Vec<_> = (**snapshots)
        .list(Some("_buckets"))
        .try_collect()
        .await
        .unwrap();
    let keys = objects.into_iter().map(|object| object.key);
    keys.filter(|key| key.ends_with(ending)).collect()
}

/// Says that an entry has one more operation, as somebody would who can write there and has no secret.
async fn alter(snapshots: &SnapshotRepository, key: &str) {
    let (json, version) = snapshots.read_version(key).await.unwrap().unwrap();
    let mut entry: Value = serde_json::from_slice(&json).unwrap();
    entry["operations"] = (entry["operations"].as_u64().unwrap() + 1).into();
    let altered = entry.to_string().into();
    let replaced = snapshots.replace(key, "application/json", altered, Some(version));
    assert!(replaced.await.unwrap());
}

async fn gc(cluster: &Cluster) -> Ended {
    let collected = cluster.program.run(&["gc", "--json"]).await;
    assert_eq!(collected.code, Some(0), "{collected}");
    collected
}
