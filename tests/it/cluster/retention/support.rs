//! What the tests of retention share: a cluster with snapshots in a directory or in S3.

use futures::TryStreamExt;
use seedbed::catalog::{Catalog, SnapshotRecord};
use seedbed_protocol::{StoreId, manifest::Manifest};
use serde_json::Value;
use testkit::{
    cluster::Cluster,
    objects::ObjectServer,
    program::{Ended, Process, stop},
    servers::RabbitMq,
};

/// Objects of a snapshot: the file, the compact file and the manifest.
pub(super) const OBJECTS: usize = 3;

/// A cluster for each kind of place that snapshots go to.
pub(super) async fn clusters() -> [Cluster; 2] {
    [
        Cluster::start().await,
        Cluster::on(RabbitMq::shared(), Some(ObjectServer::s3().await)).await,
    ]
}

/// Runs a command that has to succeed, and answers the first object that it prints.
pub(super) async fn ok(cluster: &Cluster, arguments: &[&str]) -> Value {
    let ended = cluster
        .program
        .run(&[arguments, &["--json"]].concat())
        .await;
    assert_eq!(ended.code, Some(0), "{ended}");
    ended.objects().remove(0)
}

/// Seeds every listed store as often as `times`.
pub(super) async fn seed(cluster: &Cluster, times: usize) {
    let workers: Vec<Process> = cluster.start_workers(1);
    for _ in 0..times {
        ok(cluster, &["run", "--full", "--stores", "stores.ndjson"]).await;
    }
    stop(workers).await;
}

pub(super) async fn keys(cluster: &Cluster) -> Vec<String> {
    let listed = cluster.snapshots();
    let listed = listed.list().map_ok(|object| object.key);
    let mut keys: Vec<String> = listed.try_collect().await.unwrap();
    keys.sort();
    keys
}

pub(super) async fn live(catalog: &Catalog, store: &str) -> Option<Manifest> {
    let store_id = StoreId::new(store).unwrap();
    let live = catalog.live_snapshot(&store_id).await.unwrap();
    live.map(|live| live.manifest)
}

pub(super) async fn records(catalog: &Catalog) -> Vec<SnapshotRecord> {
    catalog.snapshots(None, true).try_collect().await.unwrap()
}

/// Everything that `gc` counts, without the bytes.
pub(super) fn counts(collected: &Value) -> [u64; 4] {
    ["expired", "orphans", "lost", "unknown"].map(|name| collected[name].as_u64().unwrap())
}

pub(super) fn assert_told(ended: &Ended, code: i32, part: &str) {
    assert_eq!(ended.code, Some(code), "{ended}");
    assert!(
        ended.error.contains(part) || ended.output.contains(part),
        "{part}: {ended}"
    );
}
