//! Where snapshots are kept, with what a test puts there and looks at.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use chrono::Utc;
use futures::TryStreamExt;
use seedbed_protocol::{
    Attempt, JobId, RunId, StoreId,
    manifest::{Checkpoint, Download, Encoding, Manifest, Notes, Origin, RenditionKind},
    objects::PART_BYTES,
    snapshots::{
        SealingKeys, SnapshotName, SnapshotRepository, SnapshotsConfig, UnreadableRowsPolicy,
    },
};
use tempfile::TempDir;
use testkit::{machine::leave_out, objects::ObjectServer};

/// Three whole parts and a bit.
pub(super) const LARGE: usize = 3 * PART_BYTES + 4711;

/// A snapshot store and what a test needs around it.
pub(super) struct Place {
    pub(super) store: SnapshotRepository,
    pub(super) server: Option<ObjectServer>,
    pub(super) directory: TempDir,
}

impl Place {
    pub(super) fn directory() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = SnapshotsConfig {
            url: format!("file:{}", directory.path().join("snapshots").display()),
            renditions: vec![RenditionKind::file(Encoding::Identity)],
            latest: false,
            unreadable_rows: UnreadableRowsPolicy::Warn,
            sealed: false,
            sealing_key: SealingKeys::default(),
        };
        Self {
            store: SnapshotRepository::open(&config).unwrap(),
            server: None,
            directory,
        }
    }

    pub(super) fn on(server: ObjectServer) -> Self {
        Self {
            store: server.open(&server.url, &server.variables).unwrap(),
            server: Some(server),
            directory: tempfile::tempdir().unwrap(),
        }
    }

    /// On MinIO; `None` where it is not installed.
    pub(super) async fn on_minio() -> Option<Self> {
        let Some(server) = ObjectServer::minio().await else {
            leave_out(
                "snapshots in MinIO",
                "install Go 1.24 or newer, which builds MinIO once: https://go.dev/dl",
            );
            return None;
        };
        Some(Self::on(server))
    }

    /// A file of `bytes` that no compression and no mixed-up parts leave alike.
    pub(super) fn file(&self, bytes: usize, seed: u64) -> PathBuf {
        let mut state = seed | 1;
        let mut content = Vec::with_capacity(bytes + 8);
        while content.len() < bytes {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            content.extend_from_slice(&state.to_le_bytes());
        }
        content.truncate(bytes);
        let path = self.directory.path().join(format!("file-{seed}"));
        std::fs::write(&path, content).unwrap();
        path
    }

    pub(super) async fn keys(&self) -> Vec<String> {
        let objects = self.store.list().map_ok(|object| object.key);
        let mut keys: Vec<String> = objects.try_collect().await.unwrap();
        keys.sort();
        keys
    }

    /// The object as it is stored.
    pub(super) async fn content(&self, key: &str) -> Vec<u8> {
        let file = self.directory.path().join("fetched");
        self.store.fetch(key, &file).await.unwrap();
        std::fs::read(file).unwrap()
    }

    /// Puts a snapshot of `content` with these renditions.
    pub(super) async fn snapshot(
        &self,
        store: &str,
        job_id: JobId,
        attempt: Attempt,
        renditions: &[Encoding],
        content: &str,
    ) -> Manifest {
        let mut manifest = manifest(store, job_id, attempt);
        let name = SnapshotName::new(&manifest.store_id, job_id, attempt);
        for &encoding in renditions {
            let file = self.directory.path().join("content");
            std::fs::write(&file, content).unwrap();
            let rendition = self
                .store
                .put(&name, RenditionKind::file(encoding), &file)
                .await
                .unwrap();
            manifest.renditions.push(rendition);
        }
        self.store.put_manifest(&name, &manifest).await.unwrap();
        manifest
    }
}

pub(super) fn manifest(store: &str, job_id: JobId, attempt: Attempt) -> Manifest {
    Manifest {
        run_id: RunId::new(),
        job_id,
        store_id: StoreId::new(store).unwrap(),
        attempt,
        created_at: Utc::now(),
        powersync_endpoint: "http://powersync".to_owned(),
        core_version: "0.4.14".to_owned(),
        internal_schema_version: 12,
        schema_fingerprint: String::new(),
        selection_fingerprint: String::new(),
        origin: Origin::default(),
        checkpoint: Checkpoint::default(),
        tables: Vec::new(),
        renditions: Vec::new(),
        download: Download::default(),
        steps: Vec::new(),
        trace_id: None,
        forms: Vec::new(),
        sealed: Vec::new(),
        sealed_key: None,
        notes: Notes::default(),
    }
}

pub(super) fn name(store: &str) -> SnapshotName {
    SnapshotName::new(&StoreId::new(store).unwrap(), JobId::new(), Attempt::FIRST)
}

/// What another program than ours computes.
pub(super) fn sha256(file: &Path) -> String {
    let output = Command::new("sha256sum").arg(file).output().unwrap();
    String::from_utf8(output.stdout).unwrap()[..64].to_owned()
}
