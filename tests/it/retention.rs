//! `gc`, `rebuild-catalog`, `verify --sample` and stores that leave the source: on a cluster whose snapshots are in
//! a directory, and on one whose snapshots are in S3.

use std::collections::BTreeMap;

use futures::{TryStreamExt, stream};
use rusqlite::Connection;
use seedbed::catalog::{Catalog, SnapshotRecord};
use seedbed_protocol::{
    Attempt, JobId, StoreId,
    broker::Queue,
    message::{Encoding, Manifest, SeedJob},
    snapshots::{SnapshotName, SnapshotPart, keys_of, latest_key},
};
use serde_json::{Value, json};
use testkit::{
    cluster::Cluster,
    objects::ObjectServer,
    program::{Ended, Process},
    rabbitmq::RabbitMq,
};

use crate::cluster::{assert_seeded, connect, objects, stop};

/// A cluster for each kind of place that snapshots go to.
async fn clusters() -> [Cluster; 2] {
    [
        Cluster::start().await,
        Cluster::on(RabbitMq::shared(), Some(ObjectServer::s3().await)).await,
    ]
}

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

/// Runs a command that has to succeed, and answers the first object that it prints.
async fn ok(cluster: &Cluster, arguments: &[&str]) -> Value {
    let ended = cluster
        .program
        .run(&[arguments, &["--json"]].concat())
        .await;
    assert_eq!(ended.code, Some(0), "{ended}");
    objects(&ended).remove(0)
}

/// Seeds every listed store as often as `times`.
async fn seed(cluster: &Cluster, times: usize) {
    let workers: Vec<Process> = cluster.start_workers(1);
    for _ in 0..times {
        ok(cluster, &["run", "--stores", "stores.ndjson"]).await;
    }
    stop(workers).await;
}

async fn keys(cluster: &Cluster) -> Vec<String> {
    let listed = cluster.snapshots();
    let listed = listed.list().map_ok(|object| object.key);
    let mut keys: Vec<String> = listed.try_collect().await.unwrap();
    keys.sort();
    keys
}

async fn live(catalog: &Catalog, store: &str) -> Option<Manifest> {
    let store_id = StoreId::new(store).unwrap();
    catalog.live_snapshot(&store_id).await.unwrap()
}

async fn records(catalog: &Catalog) -> Vec<SnapshotRecord> {
    catalog.snapshots(None, true).try_collect().await.unwrap()
}

/// The states of a store's snapshots, the newest first.
async fn states(catalog: &Catalog, store: &str) -> Vec<String> {
    let records = records(catalog).await.into_iter();
    records
        .filter(|record| record.manifest.store_id.as_str() == store)
        .map(|record| record.state)
        .collect()
}

/// Everything that `gc` counts, without the bytes.
fn counts(collected: &Value) -> [u64; 4] {
    ["expired", "orphans", "lost", "unknown"].map(|name| collected[name].as_u64().unwrap())
}

fn assert_told(ended: &Ended, code: i32, part: &str) {
    assert_eq!(ended.code, Some(code), "{ended}");
    assert!(
        ended.error.contains(part) || ended.output.contains(part),
        "{part}: {ended}"
    );
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
                || *key == latest_key(&id, SnapshotPart::File(Encoding::Identity))
        };
        assert_eq!(before.iter().filter(|key| is_its(key)).count(), 4);
        let others: Vec<String> = before.into_iter().filter(|key| !is_its(key)).collect();
        assert_eq!(keys(&cluster).await, others);

        set_source(&mut cluster, &stores);
        assert_eq!(ok(&cluster, &["run"]).await["jobs"], 4);
        assert_seeded(&cluster, &stores).await;
        assert_eq!(keys(&cluster).await.iter().filter(|k| is_its(k)).count(), 4);
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
    assert_seeded(&cluster, &stores).await;

    cluster.list(&stores[..1]);
    let listed = ok(&cluster, &["run", "--stores", "stores.ndjson"]).await;
    assert_eq!(listed["retired"], 0, "a list given once says nothing more");
    assert_seeded(&cluster, &stores).await;

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

#[tokio::test(flavor = "multi_thread")]
async fn gc_keeps_the_newest_and_the_young_and_never_removes_the_live_one() {
    for mut cluster in clusters().await {
        let stores = cluster.add_stores(2, 5);
        seed(&cluster, 4).await;
        let catalog = cluster.catalog().await;
        let all = keys(&cluster).await;
        assert_eq!(all.len(), 2 * 4 * 2);
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
        assert_seeded(&cluster, &stores).await;
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
        let broker = connect(&cluster).await;
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
        assert_told(
            &told,
            0,
            "2 objects are of jobs that the catalog does not know",
        );
        held.hand_back().await.unwrap();
        broker.close().await;
        catalog.close().await;
    }
}

/// Stores the file of `like` once more as a snapshot of `job_id` that nobody is told of; the keys of it.
async fn upload(cluster: &Cluster, like: &Manifest, job_id: JobId) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("snapshot.sqlite");
    let snapshots = cluster.snapshots();
    let fetched = snapshots.fetch(&like.renditions[0].key, &file).await;
    fetched.unwrap();
    let name = SnapshotName::new(&like.store_id, job_id, Attempt::FIRST);
    let rendition = snapshots.put(&name, Encoding::Identity, &file).await;
    let manifest = Manifest {
        job_id,
        renditions: vec![rendition.unwrap()],
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
        assert_told(&told, 0, "1 snapshots are gone");
        assert_eq!(live(&catalog, &stores[0]).await, None);
        assert!(live(&catalog, &stores[1]).await.is_some());
        seed(&cluster, 1).await;
        assert_seeded(&cluster, &stores).await;
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
    assert_eq!(keys(&cluster).await.len(), before.len() - 4);
    assert_seeded(&cluster, &stores).await;
    catalog.close().await;
}

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
        // It is as good as the first: sweeps go on with it.
        assert_eq!(counts(&ok(&cluster, &["gc"]).await), [0; 4]);

        let of_store = |store: &str| keys_of(&newest[store]);
        let unreadable = &of_store(&stores[0])[0];
        std::fs::write(cluster.file_of(unreadable), "{\"not\": \"whole\"").unwrap();
        let without_file = &of_store(&stores[1])[0];
        std::fs::remove_file(cluster.file_of(&of_store(&stores[1])[1])).unwrap();
        let url = format!("sqlite:{}", cluster.program.path("partly.db").display());
        cluster.program.set("CATALOG__URL", &url);
        let ended = cluster.program.run(&["rebuild-catalog", "--json"]).await;
        assert_told(&ended, 1, unreadable);
        assert_told(&ended, 1, without_file);
        assert_eq!(
            objects(&ended),
            [json!({"added": 6, "known": 0, "damaged": 2})]
        );
        let partly = Catalog::open(&url).await.unwrap();
        let mut expected = newest.clone();
        for store in &stores[..2] {
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
