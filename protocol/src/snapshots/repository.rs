//! [`SnapshotRepository`]: writes, reads, lists and removes the objects of snapshots.

use std::{
    ops::{AddAssign, Deref},
    path::Path,
};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use url::Url;

use super::{
    config::SnapshotsConfig,
    name::{SnapshotName, SnapshotPart, directory_of, latest_key, latest_start, manifest_key},
    sealing::{SealingError, SealingKeys, SnapshotKey},
};
use crate::{
    digest::Hashed,
    ids::{JobId, StoreId},
    manifest::{Manifest, Rendition, RenditionKind},
    objects::{ObjectStorage, StorageError, StoredObject},
};

pub(super) const JSON_MEDIA_TYPE: &str = "application/json";

/// One object of the repository, without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotObject {
    /// Its key below the snapshot URL.
    pub key: String,
    /// The snapshot that it belongs to, and which part it is; `None` for copies below `latest/` and for objects that
    /// are not Seedbed's.
    pub snapshot: Option<(SnapshotName, SnapshotPart)>,
    pub bytes: u64,
    /// When it was written, by the clock of the storage.
    pub last_modified: DateTime<Utc>,
}

/// What was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Removed {
    pub objects: u64,
    /// Bytes of all of them.
    pub bytes: u64,
}

impl AddAssign for Removed {
    fn add_assign(&mut self, more: Self) {
        self.objects += more.objects;
        self.bytes += more.bytes;
    }
}

impl From<StoredObject> for SnapshotObject {
    fn from(object: StoredObject) -> Self {
        Self {
            snapshot: SnapshotName::of_key(&object.key),
            key: object.key,
            bytes: object.bytes,
            last_modified: object.last_modified,
        }
    }
}

/// Why the key of a sealed snapshot cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SealedError {
    /// The manifest cannot be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The key in it cannot be unwrapped.
    #[error(transparent)]
    Sealing(#[from] SealingError),
}

impl SealedError {
    /// Returns whether a person has to change the settings before it can succeed.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Sealing(SealingError::NoSealingKey | SealingError::UnknownKey { .. })
        )
    }
}

/// The snapshots of all stores. Everything else that can be done with its objects is done as with any
/// [`ObjectStorage`].
#[derive(Debug, Clone)]
pub struct SnapshotRepository {
    objects: ObjectStorage,
    keys: SealingKeys,
}

impl Deref for SnapshotRepository {
    type Target = ObjectStorage;
    fn deref(&self) -> &ObjectStorage {
        &self.objects
    }
}

impl SnapshotRepository {
    /// Opens what `snapshots.url` names, see [`ObjectStorage::open`].
    ///
    /// # Errors
    /// As [`ObjectStorage::open`].
    pub fn open(config: &SnapshotsConfig) -> Result<Self, StorageError> {
        ObjectStorage::open(&config.url).map(|objects| Self::of(objects, config))
    }

    /// Opens it at an endpoint that others reach it by, see [`ObjectStorage::open_at`].
    ///
    /// # Errors
    /// As [`ObjectStorage::open`].
    pub fn open_at(config: &SnapshotsConfig, endpoint: &Url) -> Result<Self, StorageError> {
        ObjectStorage::open_at(&config.url, endpoint).map(|objects| Self::of(objects, config))
    }

    /// Opens it with other environment variables, see [`ObjectStorage::open_with`].
    ///
    /// # Errors
    /// As [`ObjectStorage::open`].
    pub fn open_with(
        config: &SnapshotsConfig,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, StorageError> {
        ObjectStorage::open_with(&config.url, variables).map(|objects| Self::of(objects, config))
    }

    fn of(objects: ObjectStorage, config: &SnapshotsConfig) -> Self {
        let keys = config.sealing_key.clone();
        Self { objects, keys }
    }

    /// Returns what wraps the keys of sealed snapshots.
    pub fn sealing_keys(&self) -> &SealingKeys {
        &self.keys
    }

    /// Reads the key of a sealed snapshot, which is in its manifest in object storage alone.
    ///
    /// # Errors
    /// [`SealedError`]
    pub async fn key_of<'a>(
        &self,
        renditions: impl IntoIterator<Item = &'a Rendition>,
    ) -> Result<SnapshotKey, SealedError> {
        let key = manifest_key(renditions).unwrap_or_default();
        let manifest = self.get_manifest(&key).await?;
        Ok(self.keys.unwrap(&manifest)?)
    }

    /// Stores `file`, which has the form of this kind, and is sealed if the kind is, in its encoding as one of the renditions of `name`, see
    /// [`ObjectStorage::put_file`]. What the object is unpacked, and whether it has to be finished, is left open.
    ///
    /// # Errors
    /// [`StorageError`]; then there is no such object.
    pub async fn put(
        &self,
        name: &SnapshotName,
        kind: RenditionKind,
        file: &Path,
    ) -> Result<Rendition, StorageError> {
        self.put_known(name, kind, file, None).await
    }

    /// Does [`Self::put`] with a file of which it may be `known` what it is.
    ///
    /// # Errors
    /// [`StorageError`], also when the file is something else; then there is no such object.
    pub async fn put_known(
        &self,
        name: &SnapshotName,
        kind: RenditionKind,
        file: &Path,
        known: Option<&Hashed>,
    ) -> Result<Rendition, StorageError> {
        let RenditionKind { form, encoding } = kind;
        let key = name.key(SnapshotPart::Rendition(kind));
        let put = self.put_file(&key, kind.described(), encoding, file, known);
        let Hashed { bytes, sha256 } = put.await?;
        Ok(Rendition {
            form,
            encoding,
            key,
            bytes,
            sha256,
            unpacked: None,
            finish: None,
            selection: None,
        })
    }

    /// Writes the manifest next to the snapshot's files, and returns its key. Idempotent.
    ///
    /// # Errors
    /// [`StorageError`]; then there is no manifest, and the files are orphans.
    pub async fn put_manifest(
        &self,
        name: &SnapshotName,
        manifest: &Manifest,
    ) -> Result<String, StorageError> {
        let key = name.key(SnapshotPart::Manifest);
        self.create(&key, JSON_MEDIA_TYPE, manifest_json(manifest))
            .await?;
        Ok(key)
    }

    /// Reads the manifest under `key`.
    ///
    /// # Errors
    /// [`StorageError`]; [`StorageError::Content`] when it is not a manifest.
    pub async fn get_manifest(&self, key: &str) -> Result<Manifest, StorageError> {
        let json = self.read(key).await?;
        self.parse_manifest(key, &json)
    }

    pub(super) fn parse_manifest(&self, key: &str, json: &[u8]) -> Result<Manifest, StorageError> {
        serde_json::from_slice(json).map_err(|source| StorageError::Content {
            key: key.to_owned(),
            url: self.url().to_owned(),
            expected: "manifest",
            source,
        })
    }

    /// Downloads what a rendition holds, uncompressed but still sealed, to `file`, in constant memory.
    ///
    /// # Errors
    /// [`StorageError`]; [`StorageError::Altered`] if the object is not what `rendition` says.
    pub async fn fetch_rendition(
        &self,
        rendition: &Rendition,
        file: &Path,
    ) -> Result<(), StorageError> {
        let uploaded = Hashed {
            bytes: rendition.bytes,
            sha256: rendition.sha256.clone(),
        };
        self.fetch_unwrapped(&rendition.key, rendition.encoding, &uploaded, file)
            .await
    }

    /// Lists all objects below the snapshot URL, in no particular order.
    pub fn list(&self) -> BoxStream<'_, Result<SnapshotObject, StorageError>> {
        let objects = self.objects.list(None);
        objects.map_ok(SnapshotObject::from).boxed()
    }

    /// Removes every object of `store_id`, what was left half-written, and the copies below `latest/`; with `until`, only what this job
    /// and earlier ones wrote. Returns what there was. Idempotent.
    ///
    /// # Errors
    /// [`StorageError`]; calling again continues where this stopped.
    pub async fn delete_store(
        &self,
        store_id: &StoreId,
        until: Option<JobId>,
    ) -> Result<Removed, StorageError> {
        let directory = directory_of(store_id);
        let mut removed = Removed::default();
        let mut keys: Vec<String> = Vec::new();
        let mut objects = self.objects.list(Some(&directory));
        while let Some(object) = objects.next().await {
            let StoredObject { key, bytes, .. } = object?;
            let of_later = SnapshotName::of_key(&key)
                .is_some_and(|(name, _)| until.is_some_and(|until| name.job_id() > until));
            if !of_later {
                keys.push(key);
                removed += Removed { objects: 1, bytes };
            }
        }
        drop(objects);
        // Manifests first, so that no reader finds one without its files.
        keys.sort_by_key(|key| !key.ends_with(".json"));
        self.delete(futures::stream::iter(keys)).await?;
        if until.is_none() {
            self.delete_starting(&directory, "").await?;
        }
        removed += self.delete_latest(store_id, until).await?;
        Ok(removed)
    }

    /// Removes what is left in a local directory of copies below `latest/`: one that was linked twice leaves a second name.
    pub(super) async fn sweep_latest(&self, store_id: &StoreId) -> Result<(), StorageError> {
        let (directory, start) = latest_start(store_id);
        match self.local_path(directory) {
            Some(_) => self.delete_starting(directory, &start).await,
            None => Ok(()),
        }
    }

    /// Removes the copies below `latest/`; with `until`, only those of this job and earlier ones.
    async fn delete_latest(
        &self,
        store_id: &StoreId,
        until: Option<JobId>,
    ) -> Result<Removed, StorageError> {
        let manifest = latest_key(store_id, SnapshotPart::Manifest);
        if let Some(until) = until {
            match self.get_manifest(&manifest).await {
                Ok(present) if present.job_id > until => return Ok(Removed::default()),
                Err(StorageError::NotFound { .. }) => return Ok(Removed::default()),
                Ok(_) | Err(StorageError::Content { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let mut removed = Removed::default();
        let mut present = Vec::new();
        for part in SnapshotPart::all() {
            let key = latest_key(store_id, part);
            if let Some(there) = self.head(&key).await? {
                present.push(key);
                removed += Removed {
                    objects: 1,
                    bytes: there.bytes,
                };
            }
        }
        self.delete(futures::stream::iter(present)).await?;
        self.sweep_latest(store_id).await?;
        Ok(removed)
    }

    /// Removes every object that `job_id` wrote for `store_id`, and what it left half-written. Idempotent.
    ///
    /// # Errors
    /// [`StorageError`]; calling again continues where this stopped.
    pub async fn delete_job(&self, store_id: &StoreId, job_id: JobId) -> Result<(), StorageError> {
        let start = format!("{job_id}-");
        self.delete_starting(&directory_of(store_id), &start).await
    }
}

pub(super) fn manifest_json(manifest: &Manifest) -> Bytes {
    let json = serde_json::to_vec_pretty(manifest).expect("a manifest has only text keys");
    json.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ids::Attempt, manifest::Encoding, snapshots::config::UnreadableRowsPolicy};

    fn open(directory: &Path) -> SnapshotRepository {
        let config = SnapshotsConfig {
            url: format!("file:{}", directory.display()),
            renditions: vec![RenditionKind::file(Encoding::Identity)],
            latest: false,
            unreadable_rows: UnreadableRowsPolicy::Warn,
            sealed: false,
            sealing_key: SealingKeys::default(),
        };
        SnapshotRepository::open(&config).unwrap()
    }

    #[tokio::test]
    async fn deleting_a_job_spares_the_other_jobs_of_its_store() {
        let directory = tempfile::tempdir().unwrap();
        let snapshots = open(directory.path());
        let id = StoreId::new("7").unwrap();
        let (gone, kept) = (JobId::new(), JobId::new());
        let kept = SnapshotName::new(&id, kept, Attempt::FIRST).key(SnapshotPart::Manifest);
        let source = directory.path().join("7");
        std::fs::create_dir(&source).unwrap();
        std::fs::write(source.join(format!("{gone}-1-00000001.sqlite")), "x").unwrap();
        std::fs::write(source.join(format!("{gone}-1-00000001.sqlite#1")), "x").unwrap();
        std::fs::write(directory.path().join(&kept), "x").unwrap();
        snapshots.delete_job(&id, gone).await.unwrap();
        let left: Vec<_> = snapshots
            .list()
            .map_ok(|o| o.key)
            .try_collect()
            .await
            .unwrap();
        assert_eq!(left, [kept]);
        assert_eq!(std::fs::read_dir(source).unwrap().count(), 1);
    }
}
