//! From a verified file to a snapshot that others can download.

use std::{iter::once, path::Path, time::Instant};

use futures::stream;
use seedbed_protocol::{
    StoreId,
    message::{Encoding, Manifest, Rendition},
    snapshots::{
        SnapshotName, SnapshotPart, SnapshotStore, SnapshotStoreError, SnapshotsConfig, latest_key,
    },
};
use tracing::warn;

use crate::{seed::base::are_in, seed::job::timing};

/// Where snapshots go, and in which forms.
pub(crate) struct Upload {
    store: SnapshotStore,
    /// The file itself comes last, since storing it may move it away.
    renditions: Vec<Encoding>,
    latest: bool,
}

impl Upload {
    pub(crate) fn new(store: SnapshotStore, config: &SnapshotsConfig) -> Self {
        let mut renditions = config.renditions.clone();
        renditions.sort_by_key(|&encoding| encoding == Encoding::Identity);
        Self {
            store,
            renditions,
            latest: config.latest,
        }
    }

    /// Whether a snapshot with these files has the forms that are wanted.
    pub(crate) fn is_in_its_forms(&self, renditions: &[Rendition]) -> bool {
        are_in(renditions, &self.renditions)
    }

    /// The keys of what there has to be of a snapshot of `store_id` with these files, as far as it is found by clients; with the
    /// sizes of the files.
    pub(crate) fn keys(
        &self,
        store_id: &StoreId,
        renditions: &[Rendition],
    ) -> Vec<(String, Option<u64>)> {
        let files = renditions
            .iter()
            .map(|rendition| (rendition.key.clone(), Some(rendition.bytes)));
        let latest = self
            .latest
            .then(|| (latest_key(store_id, SnapshotPart::Manifest), None));
        files.chain(latest).collect()
    }

    /// Stores each rendition of `file`, then the manifest that refers to them, then the copies below
    /// `latest/`. On failure nothing of it is left that a manifest refers to, and what was stored is removed.
    pub(crate) async fn snapshot(
        &self,
        file: &Path,
        mut manifest: Manifest,
    ) -> Result<Manifest, SnapshotStoreError> {
        let started = Instant::now();
        let name = SnapshotName::new(&manifest.store_id, manifest.job_id, manifest.attempt);
        let stored = self.files_and_manifest(&name, file, &mut manifest, started);
        if let Err(error) = stored.await {
            // Without a manifest the files are of no use, and the next attempt needs the room. The manifest goes
            // first: it may be there although no answer said so.
            let files = manifest.renditions.into_iter().map(|r| r.key);
            let keys: Vec<_> = once(name.key(SnapshotPart::Manifest))
                .chain(files)
                .collect();
            let _ = self.store.delete(stream::iter(keys)).await;
            return Err(error);
        }
        if self.latest
            && let Err(error) = self.store.put_latest(&manifest).await
        {
            // The snapshot is whole; the next job of the store tries again.
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
    ) -> Result<(), SnapshotStoreError> {
        for &encoding in &self.renditions {
            let rendition = self.store.put(name, encoding, file).await?;
            manifest.renditions.push(rendition);
        }
        // The file itself, which clients without decoders take, is the first that they find.
        manifest
            .renditions
            .sort_by_key(|rendition| rendition.encoding != Encoding::Identity);
        manifest.steps.push(timing("upload", started));
        self.store.put_manifest(name, manifest).await?;
        Ok(())
    }

    /// Waits for what abandoned uploads are still moving, writing or taking back.
    pub(crate) async fn settled(&self) {
        self.store.settled().await;
    }
}
