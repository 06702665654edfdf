//! Who is given what from the cache, what is stored of it, and for how long.

use std::time::Duration;

use chrono::Utc;
use seedbed_protocol::snapshots::SnapshotRepository;
use seedbed_worker::buckets::{Keep, collect};
use serde_json::json;
use testkit::{
    pipeline::{Pipeline, job, same_rows},
    powersync::{PowerSync, Source, StreamDefinition, SyncConfig},
    wait,
};

use super::support::{BUCKET, CACHED, Fleet, OWN, SHARED, WHOLE, service};

#[tokio::test(flavor = "multi_thread")]
async fn what_stores_share_is_downloaded_once_by_a_worker() {
    let service = service(20, 1).await;
    let mut pipeline = Pipeline::start(&service).await;
    let stores: Vec<_> = (1..=20).map(|store| store.to_string()).collect();
    let manifests = pipeline.seed_all(&stores).await.unwrap();
    let fetched: u64 = manifests.iter().map(|m| m.download.operations).sum();
    let distinct = u64::from(SHARED + 20 * OWN);
    assert!(
        fetched * 10 <= distinct * 11,
        "{fetched} operations for {distinct} distinct ones"
    );
    for manifest in &manifests {
        same_rows(
            &service,
            manifest.store_id.as_str(),
            &pipeline.file(manifest),
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_share_it_by_the_repository_and_keep_up_with_the_service() {
    let service = service(4, 1).await;
    let fleet = Fleet::new();
    fleet.fill(&service).await;
    assert_eq!(fleet.seed_anew(&service, "2").await, CACHED);
    // An older position: only what is newer is downloaded, and it is added when it has become a twentieth.
    let old = (
        fleet.read_entry(),
        std::fs::read(fleet.lines()).unwrap(),
        fleet.lines(),
    );
    service.write(|rows| {
        for row in 0..200 {
            rows.put(
                "products",
                json!({ "id": format!("new-{row}"), "store_id": "shared" }),
            );
        }
    });
    assert_eq!(fleet.seed_anew(&service, "3").await, CACHED + 200);
    wait::until("the new rows are added", async || {
        fleet.read_entry()["operations"] == SHARED + 199
    })
    .await;
    assert_eq!(fleet.seed_anew(&service, "4").await, CACHED);
    std::fs::write(fleet.entry(), old.0.to_string()).unwrap();
    std::fs::write(old.2, old.1).unwrap();
    assert_eq!(fleet.seed_anew(&service, "2").await, CACHED + 200);
    // Compaction changes the operation that proves the entry: the bucket is downloaded again.
    service.write(|rows| {
        for row in 0..200 {
            rows.put(
                "products",
                json!({ "id": format!("new-{row}"), "store_id": "shared", "name": "x" }),
            );
        }
    });
    service.compact();
    fleet.seed_anew(&service, "1").await;
    assert!(fleet.seed_anew(&service, "2").await < WHOLE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_alone_brings_nothing() {
    let region = Source::claim("region");
    let config = SyncConfig::streams([
        StreamDefinition::new("region", "products").parameter("region", region)
    ]);
    let service = PowerSync::builder().config(config).start().await.unwrap();
    service.write(|rows| {
        for (region, count) in [("north", 1_500), ("south", 10)] {
            for row in 0..count {
                rows.put(
                    "products",
                    json!({ "id": format!("{region}-{row}"), "region": region }),
                );
            }
        }
    });
    let mut pipeline = Pipeline::start(&service).await;
    let mut operations = Vec::new();
    for (store, region) in [("1", "north"), ("2", "south"), ("3", "north")] {
        let claims = json!({ "store_id": store, "region": region });
        let manifest = pipeline.run(job(store, claims, Vec::new())).await.unwrap();
        operations.push((manifest.download.operations, manifest.rows()));
    }
    // The second store's request names the first one's bucket too, and gets nothing by it.
    assert_eq!(operations, [(1_500, 1_500), (10, 10), (1, 1_500)]);
    let asked = &service.requests()[1].body["buckets"];
    assert_eq!(asked[0]["name"], "2#region|0[\"north\"]");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_plain_is_shared_beside_sealed_snapshots_or_without_a_secret_or_when_it_is_off() {
    let service = service(2, 1).await;
    for case in ["sealed", "no secret", "off"] {
        let fleet = Fleet::new();
        let mut worker = fleet
            .worker_with(&service, |settings| match case {
                "sealed" => {
                    settings.snapshots.sealed = true;
                    settings.snapshots.renditions = vec!["file/sqlcipher4".parse().unwrap()];
                    settings.snapshots.sealing_key =
                        serde_json::from_value(json!("11".repeat(32))).unwrap();
                }
                "no secret" => settings.buckets.secret = None,
                _ => settings.buckets.enabled = false,
            })
            .await;
        let manifests = worker.seed_all(&["1", "2"]).await.unwrap();
        worker.shutdown.drain.cancel();
        worker.stopped().await;
        assert!(!fleet.directory.path().join("_buckets").exists(), "{case}");
        let fetched: u64 = manifests.iter().map(|m| m.download.operations).sum();
        let expected = if case == "off" {
            2 * WHOLE
        } else {
            WHOLE + CACHED
        };
        assert_eq!(fetched, expected, "{case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_dies_with_its_holder() {
    let service = service(2, 1).await;
    let fleet = Fleet::new();
    fleet.fill(&service).await;
    let entry = fleet.entry();
    let lease = entry.with_extension("lease");
    std::fs::remove_file(&entry).unwrap();
    let until = Utc::now() + Duration::from_millis(700);
    std::fs::write(&lease, json!({ "until": until }).to_string()).unwrap();
    assert_eq!(fleet.seed_anew(&service, "2").await, WHOLE);
    assert!(Utc::now() >= until, "it waited for the holder");
    wait::until("the bucket is stored", async || entry.exists()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gc_leaves_what_is_in_use() {
    let service = service(2, 1).await;
    let fleet = Fleet::new();
    fleet.fill(&service).await;
    assert_eq!(fleet.read_entry()["bucket"], BUCKET);
    let orphan = fleet.lines().with_file_name("orphan-1.zst");
    std::fs::write(&orphan, "x").unwrap();
    let mut worker = fleet.worker(&service).await;
    worker.seed("2").await.unwrap();
    let objects: &SnapshotRepository = &worker.snapshots;
    let hour = Duration::from_secs(3600);
    let keep = Keep {
        age: 24 * hour,
        bytes: 1 << 30,
        unnamed: hour,
    };
    let now = Utc::now();
    let removed = async |keep, now| collect(objects, keep, now, false).await.unwrap().objects;
    assert_eq!(removed(keep, now).await, 0);
    assert_eq!(removed(keep, now + 2 * hour).await, 1);
    assert!(!orphan.exists() && fleet.lines().exists());
    assert_eq!(fleet.seed_anew(&service, "1").await, CACHED);
    let dry = collect(objects, Keep { bytes: 1, ..keep }, now, true)
        .await
        .unwrap();
    assert_eq!((dry.objects, fleet.files("").len()), (2, 2));
    assert_eq!(removed(Keep { bytes: 1, ..keep }, now).await, 2);
    assert_eq!(fleet.files("").len(), 0);
}
