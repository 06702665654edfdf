//! Stores a verified file as a snapshot: its renditions, then the manifest that refers to them, then `latest/`.

use std::{iter::once, path::Path, time::Instant};

use futures::stream;
use seedbed_protocol::{
    StoreId,
    manifest::{Checkpoint, Encoding, Manifest, Rendition, StepTiming},
    objects::StorageError,
    snapshots::{
        SnapshotName, SnapshotPart, SnapshotRepository, SnapshotsConfig, latest_key, manifest_key,
    },
};
use tracing::{info, warn};

/// Stores snapshots in one repository, in the configured encodings.
pub(crate) struct Uploader {
    repository: SnapshotRepository,
    /// The file itself is the last, since storing it may move it away.
    renditions: Vec<Encoding>,
    latest: bool,
}

impl Uploader {
    pub(crate) fn new(repository: SnapshotRepository, config: &SnapshotsConfig) -> Self {
        let mut renditions = config.renditions.clone();
        renditions.sort_by_key(|&encoding| encoding == Encoding::Identity);
        Self {
            repository,
            renditions,
            latest: config.latest,
        }
    }

    /// Returns whether a snapshot has exactly the configured renditions.
    pub(crate) fn has_encodings(&self, renditions: &[Rendition]) -> bool {
        renditions.len() == self.renditions.len()
            && renditions
                .iter()
                .all(|rendition| self.renditions.contains(&rendition.encoding))
    }

    /// Returns whether every object that clients need of a snapshot of `store_id` is still in the repository; else
    /// logs why not.
    pub(crate) async fn is_complete(&self, store_id: &StoreId, renditions: &[Rendition]) -> bool {
        for (key, bytes) in self.keys(store_id, renditions) {
            match self.repository.look_up(&key).await {
                Ok(Some(object)) if bytes.is_none_or(|bytes| object.bytes == bytes) => {}
                Ok(_) => {
                    info!("downloading all rows: {key:?} is missing from object storage");
                    return false;
                }
                Err(error) => {
                    info!("downloading all rows: {error}");
                    return false;
                }
            }
        }
        true
    }

    /// Downloads the smallest rendition of a snapshot and checks its hash.
    ///
    /// # Errors
    /// [`StorageError`], also when the file is not what was uploaded.
    pub(crate) async fn fetch(
        &self,
        renditions: &[Rendition],
        file: &Path,
    ) -> Result<(), StorageError> {
        let rendition = smallest(renditions).ok_or_else(|| StorageError::NotFound {
            key: String::new(),
            url: self.repository.url().to_owned(),
        })?;
        self.repository.fetch_database(rendition, file).await?;
        Ok(())
    }

    /// Reads the checkpoint of a snapshot from its manifest.
    ///
    /// # Errors
    /// [`StorageError`], also when there is no manifest.
    pub(crate) async fn checkpoint_of(
        &self,
        renditions: &[Rendition],
    ) -> Result<Checkpoint, StorageError> {
        let key = manifest_key(renditions).unwrap_or_default();
        Ok(self.repository.get_manifest(&key).await?.checkpoint)
    }

    /// Returns the keys of all objects that clients need, with sizes where known.
    fn keys(&self, store_id: &StoreId, renditions: &[Rendition]) -> Vec<(String, Option<u64>)> {
        let files = renditions
            .iter()
            .map(|rendition| (rendition.key.clone(), Some(rendition.bytes)));
        let latest = self
            .latest
            .then(|| (latest_key(store_id, SnapshotPart::Manifest), None));
        files.chain(latest).collect()
    }

    /// Stores each rendition of `file`, then the manifest that refers to them, then the copies below `latest/`. On
    /// failure removes what was stored; no manifest refers to anything that may be left.
    pub(crate) async fn snapshot(
        &self,
        file: &Path,
        mut manifest: Manifest,
    ) -> Result<Manifest, StorageError> {
        let started = Instant::now();
        let name = SnapshotName::new(&manifest.store_id, manifest.job_id, manifest.attempt);
        let stored = self.files_and_manifest(&name, file, &mut manifest, started);
        if let Err(error) = stored.await {
            // Files without a manifest are of no use, and the next attempt needs the room. The manifest is removed
            // first: it may have been stored although no answer confirmed it.
            let files = manifest.renditions.into_iter().map(|r| r.key);
            let keys: Vec<_> = once(name.key(SnapshotPart::Manifest))
                .chain(files)
                .collect();
            let _ = self.repository.delete(stream::iter(keys)).await;
            return Err(error);
        }
        if self.latest
            && let Err(error) = self.repository.put_latest(&manifest).await
        {
            // The snapshot itself is complete; the store's next job tries again.
            warn!("the copy below latest/ is not the newest: {error}");
        }
        Ok(manifest)
    }

    async fn files_and_manifest(
        &self,
        name: &SnapshotName,
        file: &Path,
        manifest: &mut Manifest,
        started: Instant,
    ) -> Result<(), StorageError> {
        for &encoding in &self.renditions {
            let rendition = self.repository.put(name, encoding, file).await?;
            manifest.renditions.push(rendition);
        }
        // The file itself comes first, for clients without decoders.
        manifest
            .renditions
            .sort_by_key(|rendition| rendition.encoding != Encoding::Identity);
        manifest.steps.push(StepTiming::since("upload", started));
        self.repository.put_manifest(name, manifest).await?;
        Ok(())
    }

    /// Waits until abandoned uploads have ended or removed what they stored.
    pub(crate) async fn settled(&self) {
        self.repository.settled().await;
    }
}

/// Returns the rendition with the fewest bytes.
pub(crate) fn smallest(renditions: &[Rendition]) -> Option<&Rendition> {
    renditions.iter().min_by_key(|rendition| rendition.bytes)
}
