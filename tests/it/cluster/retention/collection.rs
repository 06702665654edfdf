//! `gc`: what it removes, what it leaves, what it repairs and what it refuses.

use futures::stream;
use seedbed::catalog::Catalog;
use seedbed_protocol::{
    Attempt, JobId,
    broker::Queue,
    manifest::{Encoding, Manifest, RenditionKind},
    message::SeedJob,
    snapshots::{SnapshotName, keys_of},
};
use testkit::{cluster::Cluster, objects::ObjectServer, servers::RabbitMq};

use super::support::{OBJECTS, assert_told, clusters, counts, keys, live, ok, records, seed};

#[tokio::test(flavor = "multi_thread")]
async fn gc_keeps_the_newest_and_the_young_and_never_removes_the_live_one() {
    for mut cluster in clusters().await {
        let stores = cluster.add_stores(2, 5);
        seed(&cluster, 4).await;
        let catalog = cluster.catalog().await;
        let all = keys(&cluster).await;
        assert_eq!(all.len(), 2 * 4 * OBJECTS);
        let young = ok(&cluster, &["gc"]).await;
        assert_eq!(counts(&young), [0; 4], "each was live a moment ago");
        cluster.program.set("RETENTION__MIN_AGE", "0s");
        for (keep, expired) in [("3", 2), ("1", 4), ("1", 0)] {
            cluster.program.set("RETENTION__KEEP", keep);
            let before = keys(&cluster).await;
            let expected = ok(&cluster, &["gc", "--dry-run"]).await;
            assert_eq!(counts(&expected), [expired, 0, 0, 0], "keep = {keep}");
            assert_eq!(keys(&cluster).await, before, "a dry run removes nothing");
            assert_eq!(ok(&cluster, &["gc"]).await, expected);
        }
        let mut left = Vec::new();
        for store in &stores {
            let states = states(&catalog, store).await;
            assert_eq!(states, ["live", "deleted", "deleted", "deleted"]);
            left.extend(keys_of(&live(&catalog, store).await.unwrap()));
        }
        left.sort();
        assert_eq!(keys(&cluster).await, left);
        cluster.assert_seeded(&stores).await;
        catalog.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gc_removes_what_no_snapshot_refers_to_but_not_what_a_job_may_still_need() {
    for mut cluster in clusters().await {
        let stores = cluster.add_stores(2, 5);
        seed(&cluster, 1).await;
        let catalog = cluster.catalog().await;
        let ended = live(&catalog, &stores[0]).await.unwrap();
        // A worker has this one in its hands.
        cluster.list(&stores[1..]);
        ok(&cluster, &["run", "--stores", "stores.ndjson", "--no-wait"]).await;
        let broker = cluster.broker().await;
        let held = broker.take(Queue::Jobs).await.unwrap().unwrap();
        let running: SeedJob = held.message.decode().unwrap();

        let referred = keys(&cluster).await;
        let again = upload(&cluster, &ended, ended.job_id).await;
        let of_running = upload(&cluster, &ended, running.job_id).await;
        let of_nobody = upload(&cluster, &ended, JobId::new()).await;
        let all = keys(&cluster).await;
        let young = ok(&cluster, &["gc"]).await;
        assert_eq!(counts(&young), [0; 4], "they may be on their way");
        cluster.program.set("RETENTION__ORPHAN_AGE", "0s");
        let expected = ok(&cluster, &["gc", "--dry-run"]).await;
        assert_eq!(counts(&expected), [0, 2, 0, 2]);
        assert!(expected["bytes"].as_u64().unwrap() > ended.bytes());
        assert_eq!(keys(&cluster).await, all, "a dry run removes nothing");
        assert_eq!(ok(&cluster, &["gc"]).await, expected);
        let mut left = [referred, of_running, of_nobody].concat();
        left.sort();
        assert_eq!(keys(&cluster).await, left);
        assert!(again.iter().all(|key| !left.contains(key)));
        let told = cluster.program.run(&["gc"]).await;
        assert_told(&told, 0, "2 objects of jobs that the catalog does not know");
        held.hand_back().await.unwrap();
        broker.close().await;
        catalog.close().await;
    }
}

/// Stores the file of `like` again as an orphaned snapshot of `job_id`, and returns its keys.
async fn upload(cluster: &Cluster, like: &Manifest, job_id: JobId) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("snapshot.sqlite");
    let snapshots = cluster.snapshots();
    let fetched = snapshots.fetch(&like.renditions[0].key, &file).await;
    fetched.unwrap();
    let name = SnapshotName::new(&like.store_id, job_id, Attempt::FIRST);
    let rendition = snapshots
        .put(&name, RenditionKind::file(Encoding::Identity), &file)
        .await;
    let manifest = Manifest {
        job_id,
        renditions: vec![rendition.unwrap()],
        forms: Vec::new(),
        sealed: Vec::new(),
        ..like.clone()
    };
    snapshots.put_manifest(&name, &manifest).await.unwrap();
    keys_of(&manifest)
}

#[tokio::test(flavor = "multi_thread")]
async fn gc_notices_what_is_lost_and_the_snapshot_before_it_becomes_the_live_one() {
    for cluster in clusters().await {
        let stores = cluster.add_stores(2, 5);
        seed(&cluster, 1).await;
        let catalog = cluster.catalog().await;
        let first = live(&catalog, &stores[0]).await.unwrap();
        seed(&cluster, 1).await;
        let second = live(&catalog, &stores[0]).await.unwrap();
        let lose = async |manifest: &Manifest| {
            let file = stream::iter([manifest.renditions[0].key.clone()]);
            cluster.snapshots().delete(file).await.unwrap();
        };
        lose(&second).await;
        let expected = ok(&cluster, &["gc", "--dry-run"]).await;
        assert_eq!(counts(&expected), [0, 0, 1, 0]);
        let unchanged = live(&catalog, &stores[0]).await;
        assert_eq!(unchanged.as_ref(), Some(&second));
        assert_eq!(ok(&cluster, &["gc"]).await, expected);
        assert_eq!(live(&catalog, &stores[0]).await.as_ref(), Some(&first));
        cluster.assert_rows(&first).await;

        lose(&first).await;
        let told = cluster.program.run(&["gc"]).await;
        assert_told(&told, 0, "1 snapshot gone from ");
        assert_eq!(live(&catalog, &stores[0]).await, None);
        assert!(live(&catalog, &stores[1]).await.is_some());
        seed(&cluster, 1).await;
        cluster.assert_seeded(&stores).await;
        catalog.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gc_refuses_a_place_with_none_of_the_snapshots_and_changes_nothing() {
    for mut cluster in clusters().await {
        cluster.add_stores(3, 5);
        seed(&cluster, 2).await;
        let catalog = cluster.catalog().await;
        let (before, objects) = (records(&catalog).await, keys(&cluster).await);
        let right = match &cluster.objects {
            Some(objects) => objects.url.clone(),
            None => format!("file:{}", cluster.program.path("snapshots").display()),
        };
        for age in ["RETENTION__MIN_AGE", "RETENTION__ORPHAN_AGE"] {
            cluster.program.set(age, "0s");
        }
        let wrong = format!("{right}-of-somebody-else");
        cluster.program.set("SNAPSHOTS__URL", &wrong);
        for arguments in [&["gc"][..], &["gc", "--dry-run"]] {
            let ended = cluster.program.run(arguments).await;
            assert_told(&ended, 2, "belong together");
            assert_told(&ended, 2, &wrong);
        }
        assert_eq!(records(&catalog).await, before);
        assert_eq!(keys(&cluster).await, objects);
        cluster.program.set("SNAPSHOTS__URL", &right);
        assert_eq!(counts(&ok(&cluster, &["gc"]).await), [0; 4]);
        catalog.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gc_that_was_killed_before_it_deleted_goes_on_the_next_time() {
    let objects = ObjectServer::s3().await;
    let mut cluster = Cluster::on(RabbitMq::shared(), Some(objects)).await;
    let stores = cluster.add_stores(2, 5);
    seed(&cluster, 2).await;
    cluster.program.set("RETENTION__MIN_AGE", "0s");
    cluster.program.set("RETENTION__KEEP", "1");
    let expected = ok(&cluster, &["gc", "--dry-run"]).await;
    assert_eq!(counts(&expected), [2, 0, 0, 0]);
    let before = keys(&cluster).await;
    let faults = cluster.objects.as_ref().unwrap().faults.clone();
    faults.hold("?delete");
    let gc = cluster.program.start(&["gc"]);
    faults.held(1).await;
    assert!(gc.kill().await, "it was still running");
    faults.release();
    let catalog = cluster.catalog().await;
    for store in &stores {
        assert_eq!(states(&catalog, store).await, ["live", "deleting"]);
    }
    assert_eq!(keys(&cluster).await, before, "nothing was deleted yet");

    // Also when they would be kept by now: what is marked may be gone by half.
    cluster.program.set("RETENTION__KEEP", "2");
    assert_eq!(ok(&cluster, &["gc", "--dry-run"]).await, expected);
    assert_eq!(ok(&cluster, &["gc"]).await, expected);
    for store in &stores {
        assert_eq!(states(&catalog, store).await, ["live", "deleted"]);
    }
    assert_eq!(keys(&cluster).await.len(), before.len() - 2 * OBJECTS);
    cluster.assert_seeded(&stores).await;
    catalog.close().await;
}

/// The states of a store's snapshots, the newest first.
async fn states(catalog: &Catalog, store: &str) -> Vec<String> {
    let records = records(catalog).await.into_iter();
    records
        .filter(|record| record.manifest.store_id.as_str() == store)
        .map(|record| record.state.to_string())
        .collect()
}
