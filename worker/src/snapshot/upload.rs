//! Stores verified files as a snapshot: its renditions, then the manifest that refers to them, then `latest/`.

use std::{
    collections::HashMap,
    fs::File,
    io,
    iter::once,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use futures::{StreamExt, stream};
use seedbed_protocol::{
    StoreId,
    digest::Hashed,
    manifest::{
        Checkpoint, Encoding, Finishing, Form, Manifest, Rendition, RenditionKind, StepTiming,
        WrappedKey,
    },
    message::BaseSnapshot,
    objects::StorageError,
    snapshots::{
        SealedError, SnapshotName, SnapshotPart, SnapshotRepository, SnapshotsConfig, latest_key,
        manifest_key,
    },
};
use tracing::{info, warn};

use super::sealed::{SealError, unseal};

/// What is stored of a job, in its directory.
pub(crate) struct SnapshotFiles {
    /// The file of each form.
    pub(crate) plain: HashMap<Form, PathBuf>,
    /// What the plain file is, if it was hashed when it was verified.
    pub(crate) hashed: Option<Hashed>,
    /// The file of each sealed kind.
    pub(crate) sealed: HashMap<RenditionKind, PathBuf>,
    /// The key of those.
    pub(crate) sealed_key: Option<WrappedKey>,
}

/// Why a base cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// It cannot be downloaded, or is not what was uploaded.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// It is sealed, and its key cannot be had.
    #[error(transparent)]
    Key(#[from] SealedError),
    /// It is sealed, and cannot be opened.
    #[error(transparent)]
    Seal(#[from] SealError),
}

impl FetchError {
    /// Returns whether another attempt could help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Storage(error) | Self::Key(SealedError::Storage(error)) => error.is_transient(),
            Self::Key(SealedError::Sealing(_)) => false,
            Self::Seal(error) => error.is_transient(),
        }
    }

    /// Returns the error's kind as one short word, for `error.type`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Storage(error) | Self::Key(SealedError::Storage(error)) => error.name(),
            Self::Key(SealedError::Sealing(_)) | Self::Seal(_) => "seal",
        }
    }
}

/// How many files are stored at a time: one is compressed while another one is hashed, or waits for the disk or the network.
const BATCHES_AT_A_TIME: usize = 2;

/// What was stored of one file.
#[derive(Default)]
struct Batch {
    stored: Vec<Rendition>,
    /// What the file is.
    unpacked: Option<Hashed>,
    error: Option<StorageError>,
}

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

    /// Returns whether storing the plain file moves it, so that nothing reads it for that.
    pub(crate) fn moves_files(&self) -> bool {
        self.repository.is_directory() && self.has_plain(Form::File)
    }

    /// Returns whether a snapshot has exactly the configured renditions.
    pub(crate) fn has_renditions(&self, base: &BaseSnapshot) -> bool {
        let mut kinds = base.all_renditions().map(Rendition::kind);
        base.all_renditions().count() == self.renditions.len()
            && kinds.all(|kind| self.renditions.contains(&kind))
    }

    /// Returns whether every object that clients need of a snapshot of `store_id` is still in the repository, and its key,
    /// if it is sealed, can be had; else logs why not.
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
        if !base.sealed.is_empty()
            && let Err(error) = self.repository.key_of(base.all_renditions()).await
        {
            info!("downloading all rows: {error}");
            return false;
        }
        true
    }

    /// Downloads the smallest file of a snapshot, checks its hash, and opens it if it is sealed.
    ///
    /// # Errors
    /// [`FetchError`], also when the file is not what was uploaded.
    pub(crate) async fn fetch(&self, base: &BaseSnapshot, file: &Path) -> Result<(), FetchError> {
        let rendition = smallest(base).ok_or_else(|| StorageError::NotFound {
            key: String::new(),
            url: self.repository.url().to_owned(),
        })?;
        self.repository.fetch_rendition(rendition, file).await?;
        if rendition.kind().is_sealed() {
            let key = self.repository.key_of(base.all_renditions()).await?;
            let (encoding, path) = (rendition.encoding, file.to_owned());
            let opening = tokio::task::spawn_blocking(move || unseal(encoding, &key, &path));
            opening.await.map_err(|error| unreadable(file, error))??;
        }
        Ok(())
    }

    /// Reads the checkpoint of a snapshot from its manifest.
    ///
    /// # Errors
    /// [`StorageError`], also when there is no manifest.
    pub(crate) async fn checkpoint_of(
        &self,
        base: &BaseSnapshot,
    ) -> Result<Checkpoint, StorageError> {
        let key = manifest_key(base.all_renditions()).unwrap_or_default();
        Ok(self.repository.get_manifest(&key).await?.checkpoint)
    }

    /// Returns whether the manifest of a snapshot has a note about it, or cannot be read.
    pub(crate) async fn may_have_notes(&self, base: &BaseSnapshot) -> bool {
        let key = manifest_key(base.all_renditions()).unwrap_or_default();
        let manifest = self.repository.get_manifest(&key).await;
        manifest.map_or(true, |manifest| !manifest.notes.0.is_empty())
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

    /// Stores each rendition of the `files`, streams for clients that ask for `selection`, then the manifest that refers to
    /// them, then the copies below `latest/`. On failure removes what was stored; no manifest refers to anything that may be left.
    pub(crate) async fn snapshot(
        &self,
        files: &SnapshotFiles,
        selection: &str,
        mut manifest: Manifest,
    ) -> Result<Manifest, StorageError> {
        let started = Instant::now();
        let name = SnapshotName::new(&manifest.store_id, manifest.job_id, manifest.attempt);
        let stored = self.files_and_manifest(&name, (files, selection), &mut manifest, started);
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
        (files, selection): (&SnapshotFiles, &str),
        manifest: &mut Manifest,
        started: Instant,
    ) -> Result<(), StorageError> {
        let failed = AtomicBool::new(false);
        let batches = stream::iter(self.batches());
        let storing = batches
            .map(|kinds| self.batch(name, kinds, (files, selection), &failed))
            .buffered(BATCHES_AT_A_TIME);
        let mut error = None;
        for batch in storing.collect::<Vec<_>>().await {
            for rendition in batch.stored {
                match rendition.form {
                    _ if rendition.kind().is_sealed() => manifest.sealed.push(rendition),
                    Form::File => manifest.renditions.push(rendition),
                    Form::Compact | Form::Stream | Form::StreamBson => {
                        manifest.forms.push(rendition);
                    }
                }
            }
            error = error.or(batch.error);
        }
        // Not before the manifest has all that was stored, so that it is removed.
        if let Some(error) = error {
            return Err(error);
        }
        for renditions in [&mut manifest.renditions, &mut manifest.forms] {
            // The plain one comes first, for clients without decoders.
            renditions.sort_by_key(|rendition| rendition.encoding != Encoding::Identity);
        }
        manifest.sealed_key = files.sealed_key.clone();
        manifest.steps.push(StepTiming::since("upload", started));
        self.repository.put_manifest(name, manifest).await?;
        Ok(())
    }

    /// Returns the renditions by the file that they are made of.
    fn batches(&self) -> Vec<Vec<RenditionKind>> {
        let mut batches: Vec<Vec<RenditionKind>> = Vec::new();
        for &kind in &self.renditions {
            let same_file = |batch: &&mut Vec<RenditionKind>| {
                !kind.is_sealed() && !batch[0].is_sealed() && batch[0].form == kind.form
            };
            match batches.iter_mut().find(same_file) {
                Some(batch) => batch.push(kind),
                None => batches.push(vec![kind]),
            }
        }
        batches
    }

    /// Stores the renditions of one file, one after the other, until one has `failed`. What is under way is finished, so
    /// that it is known what was stored.
    async fn batch(
        &self,
        name: &SnapshotName,
        kinds: Vec<RenditionKind>,
        (files, selection): (&SnapshotFiles, &str),
        failed: &AtomicBool,
    ) -> Batch {
        let mut batch = Batch::default();
        for kind in kinds {
            if failed.load(Ordering::Relaxed) {
                break;
            }
            let stored = self.rendition(name, kind, (files, selection), &mut batch.unpacked);
            match stored.await {
                Ok(rendition) => batch.stored.push(rendition),
                Err(error) => {
                    failed.store(true, Ordering::Relaxed);
                    batch.error = Some(error);
                    break;
                }
            }
        }
        for rendition in &mut batch.stored {
            rendition.unpacked.clone_from(&batch.unpacked);
        }
        batch
    }

    /// Stores one rendition, and notes what its file is.
    async fn rendition(
        &self,
        name: &SnapshotName,
        kind: RenditionKind,
        (files, selection): (&SnapshotFiles, &str),
        unpacked: &mut Option<Hashed>,
    ) -> Result<Rendition, StorageError> {
        let is_packed = !kind.is_sealed() && kind.encoding != Encoding::Identity;
        let file = match kind.is_sealed() {
            true => &files.sealed[&kind],
            false => &files.plain[&kind.form],
        };
        // The plain rendition hashes it anyway.
        if is_packed && unpacked.is_none() && !self.has_plain(kind.form) {
            *unpacked = Some(hashed(file).await?);
        }
        let known = match kind.form {
            Form::File if !is_packed && !kind.is_sealed() => files.hashed.as_ref(),
            _ => None,
        };
        let mut rendition = self.repository.put_known(name, kind, file, known).await?;
        rendition.finish = finish_of(kind);
        rendition.selection = kind.form.is_stream().then(|| selection.to_owned());
        // A device opens a sealed file as it is stored.
        if !is_packed {
            *unpacked = Some(Hashed {
                bytes: rendition.bytes,
                sha256: rendition.sha256.clone(),
            });
        }
        Ok(rendition)
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
    hashed.map_err(|source| unreadable(file, source))
}

fn unreadable(file: &Path, source: impl Into<io::Error>) -> StorageError {
    StorageError::File {
        action: "read",
        path: file.to_owned(),
        source: source.into(),
    }
}

/// Returns the version of finishing that a rendition of this kind needs.
fn finish_of(kind: RenditionKind) -> Option<u32> {
    (kind.form == Form::Compact).then(|| Finishing::current().version)
}

/// Returns the rendition of the file with the fewest bytes.
pub(crate) fn smallest(base: &BaseSnapshot) -> Option<&Rendition> {
    let files = base.all_renditions().filter(|r| r.form == Form::File);
    files.min_by_key(|rendition| rendition.bytes)
}
