//! Stores verified files as a snapshot: its renditions, then the manifest that refers to them, then `latest/`.

use std::{
    collections::HashMap,
    fs::File,
    io,
    iter::once,
    path::{Path, PathBuf},
    time::Instant,
};

use futures::stream;
use seedbed_protocol::{
    StoreId,
    digest::Hashed,
    manifest::{
        Checkpoint, Encoding, Finishing, Form, Manifest, Rendition, RenditionKind, StepTiming,
    },
    message::BaseSnapshot,
    objects::StorageError,
    snapshots::{
        SnapshotName, SnapshotPart, SnapshotRepository, SnapshotsConfig, latest_key, manifest_key,
    },
};
use tracing::{info, warn};

/// Stores snapshots in one repository, as the configured renditions.
pub(crate) struct Uploader {
    repository: SnapshotRepository,
    /// Of each form, the plain one is the last, since storing it may move the file away.
    renditions: Vec<RenditionKind>,
    latest: bool,
}

impl Uploader {
    pub(crate) fn new(repository: SnapshotRepository, config: &SnapshotsConfig) -> Self {
        let mut renditions = config.renditions.clone();
        renditions.sort_by_key(|kind| kind.encoding == Encoding::Identity);
        Self {
            repository,
            renditions,
            latest: config.latest,
        }
    }

    /// Returns whether a snapshot has exactly the configured renditions.
    pub(crate) fn has_renditions(&self, base: &BaseSnapshot) -> bool {
        let mut kinds = base.all_renditions().map(Rendition::kind);
        base.all_renditions().count() == self.renditions.len()
            && kinds.all(|kind| self.renditions.contains(&kind))
    }

    /// Returns whether every object that clients need of a snapshot of `store_id` is still in the repository; else
    /// logs why not.
    pub(crate) async fn is_complete(&self, store_id: &StoreId, base: &BaseSnapshot) -> bool {
        for (key, bytes) in self.keys(store_id, base) {
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
        self.repository.fetch_rendition(rendition, file).await?;
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
    fn keys(&self, store_id: &StoreId, base: &BaseSnapshot) -> Vec<(String, Option<u64>)> {
        let files = base
            .all_renditions()
            .map(|rendition| (rendition.key.clone(), Some(rendition.bytes)));
        let latest = self
            .latest
            .then(|| (latest_key(store_id, SnapshotPart::Manifest), None));
        files.chain(latest).collect()
    }

    /// Stores each rendition of the `forms`, each in its file, streams for clients that ask for `selection`, then the manifest that refers to them, then the copies below `latest/`. On
    /// failure removes what was stored; no manifest refers to anything that may be left.
    pub(crate) async fn snapshot(
        &self,
        forms: &HashMap<Form, PathBuf>,
        selection: &str,
        mut manifest: Manifest,
    ) -> Result<Manifest, StorageError> {
        let started = Instant::now();
        let name = SnapshotName::new(&manifest.store_id, manifest.job_id, manifest.attempt);
        let stored = self.files_and_manifest(&name, (forms, selection), &mut manifest, started);
        if let Err(error) = stored.await {
            // Files without a manifest are of no use, and the next attempt needs the room. The manifest is removed
            // first: it may have been stored although no answer confirmed it.
            let files = manifest.all_renditions().map(|r| r.key.clone());
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
        (forms, selection): (&HashMap<Form, PathBuf>, &str),
        manifest: &mut Manifest,
        started: Instant,
    ) -> Result<(), StorageError> {
        let mut unpacked = HashMap::new();
        for &kind in &self.renditions {
            let file = &forms[&kind.form];
            // Hashed before storing it may move it away; the plain rendition hashes it anyway.
            if kind.encoding != Encoding::Identity
                && !unpacked.contains_key(&kind.form)
                && !self.has_plain(kind.form)
            {
                unpacked.insert(kind.form, hashed(file).await?);
            }
            let mut rendition = self.repository.put(name, kind, file).await?;
            rendition.finish = (kind.form == Form::Compact).then(|| Finishing::current().version);
            rendition.selection = kind.form.is_stream().then(|| selection.to_owned());
            if kind.encoding == Encoding::Identity {
                let content = Hashed {
                    bytes: rendition.bytes,
                    sha256: rendition.sha256.clone(),
                };
                unpacked.insert(kind.form, content);
            }
            match kind.form {
                Form::File => manifest.renditions.push(rendition),
                Form::Compact | Form::Stream | Form::StreamBson => manifest.forms.push(rendition),
            }
        }
        for renditions in [&mut manifest.renditions, &mut manifest.forms] {
            // The plain one comes first, for clients without decoders.
            renditions.sort_by_key(|rendition| rendition.encoding != Encoding::Identity);
            for rendition in renditions {
                rendition.unpacked = unpacked.get(&rendition.form).cloned();
            }
        }
        manifest.steps.push(StepTiming::since("upload", started));
        self.repository.put_manifest(name, manifest).await?;
        Ok(())
    }

    /// Returns whether a form is stored as it is.
    fn has_plain(&self, form: Form) -> bool {
        let encoding = Encoding::Identity;
        self.renditions.contains(&RenditionKind { form, encoding })
    }

    /// Waits until abandoned uploads have ended or removed what they stored.
    pub(crate) async fn settled(&self) {
        self.repository.settled().await;
    }
}

async fn hashed(file: &Path) -> Result<Hashed, StorageError> {
    let path = file.to_owned();
    let hashing = tokio::task::spawn_blocking(move || Hashed::of(File::open(path)?));
    let hashed = hashing.await.map_err(io::Error::other).flatten();
    hashed.map_err(|source| StorageError::File {
        action: "read",
        path: file.to_owned(),
        source,
    })
}

/// Returns the rendition with the fewest bytes.
pub(crate) fn smallest(renditions: &[Rendition]) -> Option<&Rendition> {
    renditions.iter().min_by_key(|rendition| rendition.bytes)
}
