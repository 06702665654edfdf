//! A service whose stores share most of their rows, a worker that prepares a database with them, and one that does not.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use rusqlite::Connection;
use seedbed_protocol::{
    manifest::{Encoding, Manifest},
    snapshots::unwrap,
};
use seedbed_worker::settings::WorkerSettings;
use serde_json::json;
use testkit::{
    pipeline::{Pipeline, same_rows},
    powersync::{PowerSync, Source, StreamDefinition, SyncConfig},
};
use tokio::io::AsyncReadExt;

use crate::local::worker::reuse::Content;

/// Rows that every store has.
pub(super) const SHARED: u32 = 3_000;

/// Rows of each store's own: few enough that a prepared database pays.
pub(super) const OWN: u32 = 10;

/// One stream of each store, which the service sends first, and one of all stores.
pub(super) fn config() -> SyncConfig {
    let own = Source::claim("store_id");
    SyncConfig::streams([
        StreamDefinition::new("a_own", "products").parameter("store_id", own),
        StreamDefinition::new("catalogue", "products").filter(|row| {
            row["store_id"] == "shared" || row.get("everywhere") == Some(&json!(true))
        }),
    ])
}

pub(super) async fn service_at(address: SocketAddr, seed: u64) -> PowerSync {
    let builder = PowerSync::builder().config(config()).listen(address);
    let service = builder.start().await.unwrap();
    service.add_generated_store("shared", SHARED, seed);
    for store in 1..=9 {
        service.add_generated_store(&store.to_string(), OWN, seed + store);
    }
    service
}

/// A service, and a worker that has seeded two stores: what they share is worth preparing for the next.
pub(super) struct Prepared {
    pub(super) service: PowerSync,
    pub(super) pipeline: Pipeline,
}

impl Prepared {
    pub(super) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(super) async fn start_with(change: impl FnOnce(&mut WorkerSettings)) -> Self {
        let service = service_at(SocketAddr::from(([127, 0, 0, 1], 0)), 1).await;
        let pipeline = Pipeline::start_with(&service, change).await;
        let mut prepared = Self { service, pipeline };
        for store in ["1", "2"] {
            let manifest = prepared.seed(store).await;
            assert!(!prepared.began_prepared(&manifest));
        }
        prepared
    }

    /// Seeds a store; its rows have to be right in any case.
    pub(super) async fn seed(&mut self, store: &str) -> Manifest {
        let manifest = self.pipeline.seed(store).await.unwrap();
        same_rows(&self.service, store, &self.pipeline.file(&manifest));
        manifest
    }

    /// Seeds a store, and compares the file with that of a worker which does without what others have.
    pub(super) async fn seed_and_compare(&mut self, store: &str) -> Manifest {
        let manifest = self.seed(store).await;
        let off = |settings: &mut WorkerSettings| settings.buckets.enabled = false;
        let mut plain = Pipeline::start_with(&self.service, off).await;
        let expected = plain.seed(store).await.unwrap();
        assert_eq!(
            Content::of(&self.pipeline.file(&manifest)),
            Content::of(&plain.file(&expected))
        );
        assert_eq!(manifest.checkpoint, expected.checkpoint);
        assert_eq!(manifest.tables, expected.tables);
        manifest
    }

    /// Whether a job has started from a prepared database: then the shared bucket was there before the store's own.
    pub(super) fn began_prepared(&self, manifest: &Manifest) -> bool {
        let file = Connection::open(self.pipeline.file(manifest)).unwrap();
        let first = "SELECT name FROM ps_buckets ORDER BY id LIMIT 1";
        let first: String = file.query_row(first, [], |row| row.get(0)).unwrap();
        first.contains("catalogue")
    }

    /// The prepared databases on the worker's disk.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let work = self.pipeline.directory.path().join("work");
        let processes = std::fs::read_dir(work).unwrap();
        let kept = processes
            .filter_map(|process| std::fs::read_dir(process.unwrap().path().join("buckets")).ok());
        let files = kept.flatten().map(|file| file.unwrap().path());
        files
            .filter(|file| file.extension().is_some_and(|ending| ending == "sqlite"))
            .collect()
    }

    /// Adds a row of all stores.
    pub(super) fn put_shared(&self, id: &str, name: &str) {
        self.service.put(
            "products",
            json!({ "id": id, "store_id": "shared", "name": name }),
        );
    }

    /// Whether any object of a snapshot has this text, in whatever form.
    pub(super) async fn holds(&self, manifest: &Manifest, text: &str) -> bool {
        for rendition in manifest.all_renditions() {
            let path = self.pipeline.snapshots.local_path(&rendition.key).unwrap();
            if has(&bytes_of(&path, rendition.encoding).await, text) {
                return true;
            }
        }
        false
    }
}

/// Whether bytes have this text anywhere.
pub(super) fn has(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|part| part == text.as_bytes())
}

async fn bytes_of(path: &Path, encoding: Encoding) -> Vec<u8> {
    let stored = std::io::Cursor::new(std::fs::read(path).unwrap());
    let mut plain = Vec::new();
    unwrap(encoding, stored)
        .read_to_end(&mut plain)
        .await
        .unwrap();
    plain
}
