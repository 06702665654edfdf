//! A catalog that was restored from a backup on a machine whose clock is behind: which snapshot is live after
//! `rebuild-catalog`, and on the way there.

use std::net::SocketAddr;

use seedbed_protocol::{JobId, StoreId, manifest::Manifest};
use serde_json::json;
use testkit::{cluster::Cluster, powersync::PowerSync, program::stop, wait};

use super::support::set_clock;

const STORE: &str = "store-1";

/// The live snapshot of the store.
async fn live(cluster: &Cluster) -> Manifest {
    let catalog = cluster.catalog().await;
    let live = catalog.live_snapshot(&StoreId::new(STORE).unwrap()).await;
    catalog.close().await;
    live.unwrap().expect("there is one").manifest
}

/// Seeds the store by a coordinator whose clock is wrong by `offset`.
async fn seed(cluster: &mut Cluster, offset: &str) -> JobId {
    let workers = cluster.start_workers(1);
    set_clock(&mut cluster.program, offset);
    let ended = cluster.run(&[]).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    set_clock(&mut cluster.program, "+0");
    stop(workers).await;
    live(cluster).await.job_id
}

/// The job of the copy below `latest/`.
async fn latest(cluster: &Cluster) -> JobId {
    let file = cluster.file_of(&format!("latest/{STORE}.json"));
    let manifest: Manifest = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    manifest.job_id
}

/// Changes a row of the store.
fn change(cluster: &Cluster, name: &str) {
    let row = json!({"id": "changed", "store_id": STORE, "name": name});
    cluster.service.put("products", row);
}

fn use_catalog(cluster: &mut Cluster, url: String) {
    cluster.program.set("CATALOG__URL", &url);
    cluster.catalog_url = url;
}

/// Puts a new service in the place of the old one: the same address and keys, another database.
async fn set_up_anew(cluster: &mut Cluster) {
    let endpoint = cluster.service.endpoint();
    let address: SocketAddr = endpoint.strip_prefix("http://").unwrap().parse().unwrap();
    let (secret, kid) = (
        cluster.service.secret().to_owned(),
        cluster.service.kid().to_owned(),
    );
    let anew = |address: SocketAddr| {
        let service = PowerSync::builder().listen(address);
        service.secret(secret.clone()).kid(kid.clone()).start()
    };
    // The old one keeps its address until it is gone.
    cluster.service = anew(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    cluster.service =
        wait::for_some("the address is free", async || anew(address).await.ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn within_one_service_the_newer_checkpoint_is_live_whatever_the_clocks_say() {
    let mut cluster = Cluster::start().await;
    cluster.program.set("SNAPSHOTS__LATEST", "true");
    cluster.add_stores(1, 50);
    seed(&mut cluster, "+0").await;
    let backup = cluster.postgres.copy_of(&cluster.catalog_url);
    change(&cluster, "lost");
    let lost = seed(&mut cluster, "+0").await;

    // The backup knows nothing of the second run, and the clock of this coordinator is behind it.
    use_catalog(&mut cluster, backup);
    change(&cluster, "newest");
    let newest = seed(&mut cluster, "-10m").await;
    assert!(newest < lost, "its clock was behind");
    assert_eq!(latest(&cluster).await, newest);

    let rebuilt = cluster.program.run(&["rebuild-catalog", "--json"]).await;
    assert_eq!(rebuilt.code, Some(0), "{rebuilt}");
    assert_eq!(live(&cluster).await.job_id, newest);
    // Both are named to whoever can set the clocks.
    for job in [newest, lost] {
        assert!(rebuilt.error.contains(&job.to_string()), "{rebuilt}");
    }
    assert!(rebuilt.error.contains("clocks"), "{rebuilt}");
    // The next run goes on from there.
    change(&cluster, "next");
    let next = seed(&mut cluster, "+0").await;
    assert!(next > lost && next > newest);
    assert_eq!(latest(&cluster).await, next);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_service_was_set_up_anew_the_later_job_is_live() {
    let mut cluster = Cluster::start().await;
    cluster.program.set("SNAPSHOTS__LATEST", "true");
    cluster.add_stores(1, 200);
    change(&cluster, "before");
    let before = seed(&mut cluster, "+0").await;
    let op_before = live(&cluster).await.checkpoint.last_op_id;
    set_up_anew(&mut cluster).await;
    cluster.add_stores(1, 20);
    let after = seed(&mut cluster, "+0").await;
    assert!(live(&cluster).await.checkpoint.last_op_id < op_before);
    assert!(after > before);
    assert_eq!(latest(&cluster).await, after);

    let empty = cluster.postgres.database();
    use_catalog(&mut cluster, empty);
    let rebuilt = cluster.program.run(&["rebuild-catalog", "--json"]).await;
    assert_eq!(rebuilt.code, Some(0), "{rebuilt}");
    assert_eq!(live(&cluster).await.job_id, after);
    assert!(!rebuilt.error.contains("clocks"), "{rebuilt}");
}
