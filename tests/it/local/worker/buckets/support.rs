//! A service whose stores have a bucket in common, and workers that share a directory of snapshots.

use std::{net::SocketAddr, path::PathBuf};

use seedbed_protocol::{
    manifest::{Encoding, Manifest},
    settings::Secret,
};
use seedbed_worker::settings::WorkerSettings;
use serde_json::Value;
use testkit::{
    pipeline::{Pipeline, same_rows},
    powersync::{PowerSync, Source, StreamDefinition, SyncConfig},
    wait,
};

/// Rows that every store has.
pub(super) const SHARED: u32 = 3_000;

/// Rows of each store's own.
pub(super) const OWN: u32 = 100;

pub(super) const SECRET: &str = "a secret of the workers of this test";

/// The bucket that every store has.
pub(super) const BUCKET: &str = "2#catalogue|0[]";

/// One stream of all stores, one of each.
pub(super) fn config() -> SyncConfig {
    let own = Source::claim("store_id");
    SyncConfig::streams([
        StreamDefinition::new("catalogue", "products").filter(|row| row["store_id"] == "shared"),
        StreamDefinition::new("store_products", "products").parameter("store_id", own),
    ])
}

/// A service with so many stores, `1` and so on.
pub(super) async fn service(stores: u32, seed: u64) -> PowerSync {
    service_at(SocketAddr::from(([127, 0, 0, 1], 0)), stores, seed).await
}

pub(super) async fn service_at(address: SocketAddr, stores: u32, seed: u64) -> PowerSync {
    let builder = PowerSync::builder().config(config()).listen(address);
    let service = builder.start().await.unwrap();
    service.add_generated_store("shared", SHARED, seed);
    for store in 1..=stores {
        service.add_generated_store(&store.to_string(), OWN, seed + u64::from(store));
    }
    service
}

/// A worker that shares the directory of snapshots with others.
pub(super) struct Fleet {
    pub(super) directory: tempfile::TempDir,
}

impl Fleet {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { directory }
    }

    pub(super) async fn worker(&self, service: &PowerSync) -> Pipeline {
        self.worker_with(service, |_| {}).await
    }

    pub(super) async fn worker_with(
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
    pub(super) async fn fill(&self, service: &PowerSync) {
        let mut first = self.worker(service).await;
        let manifest = first.seed("1").await.unwrap();
        assert_eq!(manifest.download.operations, u64::from(SHARED + OWN));
        wait::until("the bucket is stored", async || {
            self.files(".json").len() == 1 && self.files(".lease").is_empty()
        })
        .await;
    }

    /// The files of the cache that end so.
    pub(super) fn files(&self, ending: &str) -> Vec<PathBuf> {
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

    pub(super) fn entry(&self) -> PathBuf {
        self.files(".json").pop().unwrap()
    }

    pub(super) fn read_entry(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.entry()).unwrap()).unwrap()
    }

    /// The object with the lines that the entry names.
    pub(super) fn lines(&self) -> PathBuf {
        let entry = self.read_entry();
        self.directory
            .path()
            .join(entry["stored"]["key"].as_str().unwrap())
    }

    /// Seeds `store` in a new worker. Its rows have to be right in any case; returns how many operations were downloaded.
    pub(super) async fn seed_anew(&self, service: &PowerSync, store: &str) -> u64 {
        let mut worker = self.worker(service).await;
        let manifest = worker.seed(store).await.unwrap();
        same_rows(service, store, &file(self, &manifest));
        manifest.download.operations
    }
}

pub(super) fn file(fleet: &Fleet, manifest: &Manifest) -> PathBuf {
    let plain = manifest
        .renditions
        .iter()
        .find(|rendition| rendition.encoding == Encoding::Identity);
    fleet.directory.path().join(&plain.unwrap().key)
}

/// What a store takes if the shared bucket comes from the cache: its own rows and the operation that proves the entry.
pub(super) const CACHED: u64 = OWN as u64 + 1;

/// What it takes otherwise.
pub(super) const WHOLE: u64 = (OWN + SHARED) as u64;
