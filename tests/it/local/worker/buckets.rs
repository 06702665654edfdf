//! Buckets that several stores have are downloaded once, and nothing but the service decides who has them.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use chrono::Utc;
use seedbed_protocol::{
    digest::sha256_hex,
    manifest::{Encoding, Manifest},
    settings::Secret,
    snapshots::{SnapshotRepository, unwrap, wrap},
};
use seedbed_worker::{
    buckets::{Keep, collect},
    settings::WorkerSettings,
};
use serde_json::{Value, json};
use testkit::{
    pipeline::{Pipeline, job, same_rows},
    powersync::{PowerSync, Source, StreamDefinition, SyncConfig},
    wait,
};
use tokio::io::AsyncReadExt;

/// Rows that every store has.
const SHARED: u32 = 3_000;

/// Rows of each store's own.
const OWN: u32 = 100;

const SECRET: &str = "a secret of the workers of this test";

/// The bucket that every store has.
const BUCKET: &str = "2#catalogue|0[]";

/// One stream of all stores, one of each.
fn config() -> SyncConfig {
    let own = Source::claim("store_id");
    SyncConfig::streams([
        StreamDefinition::new("catalogue", "products").filter(|row| row["store_id"] == "shared"),
        StreamDefinition::new("store_products", "products").parameter("store_id", own),
    ])
}

/// A service with so many stores, `1` and so on.
async fn service(stores: u32, seed: u64) -> PowerSync {
    service_at(SocketAddr::from(([127, 0, 0, 1], 0)), stores, seed).await
}

async fn service_at(address: SocketAddr, stores: u32, seed: u64) -> PowerSync {
    let builder = PowerSync::builder().config(config()).listen(address);
    let service = builder.start().await.unwrap();
    service.add_generated_store("shared", SHARED, seed);
    for store in 1..=stores {
        service.add_generated_store(&store.to_string(), OWN, seed + u64::from(store));
    }
    service
}

/// A worker that shares the directory of snapshots with others.
struct Fleet {
    directory: tempfile::TempDir,
}

impl Fleet {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { directory }
    }

    async fn worker(&self, service: &PowerSync) -> Pipeline {
        self.worker_with(service, |_| {}).await
    }

    async fn worker_with(
        &self,
        service: &PowerSync,
        change: impl FnOnce(&mut WorkerSettings),
    ) -> Pipeline {
        let url = format!("file:{}", self.directory.path().display());
        Pipeline::start_with(service, |settings| {
            settings.snapshots.url = url;
            settings.buckets.secret = Some(Secret::new(SECRET));
            change(settings);
        })
        .await
    }

    /// Seeds store `1` in a worker of its own, and waits until what is shared is stored.
    async fn fill(&self, service: &PowerSync) {
        let mut first = self.worker(service).await;
        let manifest = first.seed("1").await.unwrap();
        assert_eq!(manifest.download.operations, u64::from(SHARED + OWN));
        wait::until("the bucket is stored", async || {
            self.files(".json").len() == 1 && self.files(".lease").is_empty()
        })
        .await;
    }

    /// The files of the cache that end so.
    fn files(&self, ending: &str) -> Vec<PathBuf> {
        let Ok(services) = std::fs::read_dir(self.directory.path().join("_buckets")) else {
            return Vec::new();
        };
        let files =
            services.flat_map(|service| std::fs::read_dir(service.unwrap().path()).unwrap());
        files
            .map(|file| file.unwrap().path())
            .filter(|path| path.to_str().unwrap().ends_with(ending))
            .collect()
    }

    fn entry(&self) -> PathBuf {
        self.files(".json").pop().unwrap()
    }

    fn read_entry(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.entry()).unwrap()).unwrap()
    }

    /// The object with the lines that the entry names.
    fn lines(&self) -> PathBuf {
        let entry = self.read_entry();
        self.directory
            .path()
            .join(entry["stored"]["key"].as_str().unwrap())
    }

    /// Seeds `store` in a new worker. Its rows have to be right in any case; returns how many operations were downloaded.
    async fn seed_anew(&self, service: &PowerSync, store: &str) -> u64 {
        let mut worker = self.worker(service).await;
        let manifest = worker.seed(store).await.unwrap();
        same_rows(service, store, &file(self, &manifest));
        manifest.download.operations
    }
}

fn file(fleet: &Fleet, manifest: &Manifest) -> PathBuf {
    let plain = manifest
        .renditions
        .iter()
        .find(|rendition| rendition.encoding == Encoding::Identity);
    fleet.directory.path().join(&plain.unwrap().key)
}

/// What a store takes if the shared bucket comes from the cache: its own rows and the operation that proves the entry.
const CACHED: u64 = OWN as u64 + 1;

/// What it takes otherwise.
const WHOLE: u64 = (OWN + SHARED) as u64;

fn sha256(path: &Path) -> String {
    sha256_hex(std::fs::read(path).unwrap())
}

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
async fn an_entry_that_was_altered_is_dropped_whatever_its_checksums_say() {
    let service = service(2, 1).await;
    let fleet = Fleet::new();
    for damage in ["data", "lines", "truncated", "missing", "entry", "secret"] {
        for file in fleet.files("") {
            std::fs::remove_file(file).unwrap();
        }
        fleet.fill(&service).await;
        let lines = fleet.lines();
        let whole = std::fs::read(&lines).unwrap();
        match damage {
            "data" => forge(&fleet).await,
            "lines" => {
                let mut altered = whole;
                let middle = altered.len() / 2;
                altered[middle] ^= 1;
                std::fs::write(&lines, altered).unwrap();
            }
            "truncated" => std::fs::write(&lines, &whole[..whole.len() / 2]).unwrap(),
            "missing" => std::fs::remove_file(&lines).unwrap(),
            "entry" => std::fs::write(fleet.entry(), "{").unwrap(),
            _ => {
                let mut other = fleet
                    .worker_with(&service, |settings| {
                        let secret = "another secret of other workers, of 32 bytes";
                        settings.buckets.secret = Some(Secret::new(secret));
                    })
                    .await;
                let manifest = other.seed("2").await.unwrap();
                assert_eq!(manifest.download.operations, WHOLE, "{damage}");
                same_rows(&service, "2", &file(&fleet, &manifest));
                continue;
            }
        }
        assert_eq!(fleet.seed_anew(&service, "2").await, WHOLE, "{damage}");
    }
}

/// Alters the text of a row, and every digest that can be made without the secret. PowerSync's checksums travel with the
/// operations and stay.
async fn forge(fleet: &Fleet) {
    let lines = fleet.lines();
    let stored = std::io::Cursor::new(std::fs::read(&lines).unwrap());
    let mut text = String::new();
    let mut plain = unwrap(Encoding::Zstd, stored);
    plain.read_to_string(&mut text).await.unwrap();
    let altered = text.replacen("\\\"name\\\":\\\"", "\\\"name\\\":\\\"Evil ", 1);
    assert_ne!(text, altered);
    let mut object = Vec::new();
    let wrapped = std::io::Cursor::new(altered.clone().into_bytes());
    wrap(Encoding::Zstd, wrapped)
        .read_to_end(&mut object)
        .await
        .unwrap();
    std::fs::write(&lines, &object).unwrap();
    let mut entry = fleet.read_entry();
    entry["content"] = json!({ "bytes": altered.len(), "sha256": sha256_hex(&altered) });
    entry["stored"]["object"] = json!({ "bytes": object.len(), "sha256": sha256(&lines) });
    std::fs::write(fleet.entry(), entry.to_string()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_service_behind_the_same_url_is_found_out() {
    let service = service(2, 1).await;
    let address: SocketAddr = service
        .endpoint()
        .strip_prefix("http://")
        .unwrap()
        .parse()
        .unwrap();
    let fleet = Fleet::new();
    fleet.fill(&service).await;
    service.shutdown().await;
    // The same rows by other ids, as after a new replication: every checksum is the same.
    let builder = PowerSync::builder().config(config()).listen(address);
    let anew = builder.start().await.unwrap();
    for store in ["1", "2"] {
        anew.add_generated_store(store, OWN, 1 + store.parse::<u64>().unwrap());
    }
    anew.add_generated_store("shared", SHARED, 1);
    assert_eq!(fleet.seed_anew(&anew, "2").await, WHOLE);
    anew.shutdown().await;
    // Other rows by the same ids.
    let other = service_at(address, 2, 50).await;
    assert_eq!(fleet.seed_anew(&other, "1").await, WHOLE);
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
