//! A catalog that was restored from a backup on a machine whose clock is behind: which snapshot is live after
//! `rebuild-catalog`, and on the way there.

use std::process::Command;

use seedbed_protocol::{JobId, StoreId, manifest::Manifest};
use testkit::{cluster::Cluster, program::stop, servers::Postgres};

use super::support::set_clock;

const STORE: &str = "store-1";

/// The live snapshot of the store.
async fn live(cluster: &Cluster) -> Manifest {
    let catalog = cluster.catalog().await;
    let live = catalog.live_snapshot(&StoreId::new(STORE).unwrap()).await;
    catalog.close().await;
    live.unwrap().expect("there is one").manifest
}

async fn seed(cluster: &Cluster) -> JobId {
    let workers = cluster.start_workers(1);
    let ended = cluster.run(&[]).await;
    assert_eq!(ended.code, Some(0), "{ended}");
    stop(workers).await;
    live(cluster).await.job_id
}

/// The job of the copy below `latest/`.
async fn latest(cluster: &Cluster) -> JobId {
    let file = cluster.file_of(&format!("latest/{STORE}.json"));
    let manifest: Manifest = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    manifest.job_id
}

/// Goes on with a copy of the catalog as it is now.
fn restore(cluster: &mut Cluster, backup: &str) {
    let url = cluster.postgres.database();
    copy(&cluster.postgres, backup, &url);
    cluster.program.set("CATALOG__URL", &url);
    cluster.catalog_url = url;
}

fn copy(postgres: &Postgres, from: &str, to: &str) {
    let dump = postgres.program("pg_dump").arg(from).output().unwrap();
    assert!(dump.status.success(), "{dump:?}");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), dump.stdout).unwrap();
    let mut read: Command = postgres.program("psql");
    let read = read.args(["--quiet", "--set=ON_ERROR_STOP=1", "--dbname", to]);
    let read = read.arg("--file").arg(file.path()).output().unwrap();
    assert!(read.status.success(), "{read:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn within_one_service_the_newer_checkpoint_is_live_whatever_the_clocks_say() {
    let mut cluster = Cluster::start().await;
    cluster.program.set("SNAPSHOTS__LATEST", "true");
    cluster.add_stores(1, 50);
    seed(&cluster).await;
    let backup = cluster.postgres.database();
    copy(&cluster.postgres, &cluster.catalog_url, &backup);
    cluster.service.change_store(STORE, 1);
    let lost = seed(&cluster).await;

    // The backup knows nothing of the second run, and the clock of this coordinator is behind it.
    restore(&mut cluster, &backup);
    set_clock(&mut cluster.program, "-10m");
    cluster.service.change_store(STORE, 2);
    let newest = seed(&cluster).await;
    assert!(newest < lost, "its clock was behind");
    assert_eq!(latest(&cluster).await, newest);

    set_clock(&mut cluster.program, "+0");
    let rebuilt = cluster.program.run(&["rebuild-catalog", "--json"]).await;
    assert_eq!(rebuilt.code, Some(0), "{rebuilt}");
    assert_eq!(live(&cluster).await.job_id, newest);
    // Both are named to whoever can set the clocks.
    for job in [newest, lost] {
        assert!(rebuilt.error.contains(&job.to_string()), "{rebuilt}");
    }
    assert!(rebuilt.error.contains("clocks"), "{rebuilt}");
    // The next run goes on from there.
    cluster.service.change_store(STORE, 3);
    let next = seed(&cluster).await;
    assert!(next > lost && next > newest);
    assert_eq!(latest(&cluster).await, next);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_service_was_set_up_anew_the_later_job_is_live() {
    let mut cluster = Cluster::start().await;
    cluster.program.set("SNAPSHOTS__LATEST", "true");
    cluster.add_stores(1, 200);
    for change in 1..4 {
        cluster.service.change_store(STORE, change);
    }
    let before = seed(&cluster).await;
    let op_before = live(&cluster).await.checkpoint.last_op_id;
    cluster.service.set_up_anew();
    cluster.add_stores(1, 20);
    let after = seed(&cluster).await;
    assert!(live(&cluster).await.checkpoint.last_op_id < op_before);
    assert!(after > before);
    assert_eq!(latest(&cluster).await, after);

    let empty = cluster.postgres.database();
    cluster.program.set("CATALOG__URL", &empty);
    cluster.catalog_url = empty;
    let rebuilt = cluster.program.run(&["rebuild-catalog", "--json"]).await;
    assert_eq!(rebuilt.code, Some(0), "{rebuilt}");
    assert_eq!(live(&cluster).await.job_id, after);
    assert!(!rebuilt.error.contains("clocks"), "{rebuilt}");
}
