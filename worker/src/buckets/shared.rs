//! The shared level: entries below `_buckets/` in the repository, for all workers that have `buckets.secret`.
//!
//! ```text
//! _buckets/<service>/<bucket>.json            the entry, replaced as a whole
//! _buckets/<service>/<bucket>-<random>.zst    its lines; named by the entry
//! _buckets/<service>/<bucket>.lease           who fills it
//! ```

use std::{
    collections::HashMap,
    path::Path,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use seedbed_protocol::{
    digest::sha256_hex, manifest::Encoding, objects::StorageError, settings::Secret,
    snapshots::SnapshotRepository,
};
use tracing::{debug, warn};
use uuid::Uuid;

use super::{
    entry::{Entry, EntryError, MacKey, Stored},
    lease::Lease,
};

/// The directory of the cache. No store's directory has such a name: its `_` would be followed by two hex digits.
pub(super) const DIRECTORY: &str = "_buckets";

/// How an entry's key ends.
pub(super) const ENTRY: &str = ".json";

/// How the key of its lines ends.
pub(super) const LINES: &str = ".zst";

/// Hex digits of a digest in a key.
const DIGITS: usize = 32;

/// The entries of one service in the repository.
pub(super) struct Shared {
    objects: SnapshotRepository,
    endpoint: String,
    directory: String,
    key: MacKey,
    keep: Duration,
    lease: Duration,
    /// When the entries that were read were written.
    read: Mutex<HashMap<String, DateTime<Utc>>>,
}

impl Shared {
    pub(super) fn new(
        objects: SnapshotRepository,
        endpoint: &str,
        secret: &Secret,
        (keep, lease): (Duration, Duration),
    ) -> Self {
        Self {
            objects,
            endpoint: endpoint.to_owned(),
            directory: format!("{DIRECTORY}/{}", &sha256_hex(endpoint)[..DIGITS]),
            key: MacKey::new(secret),
            keep,
            lease,
            read: Mutex::default(),
        }
    }

    fn key_of(&self, bucket: &str, ending: &str) -> String {
        let name = &sha256_hex(bucket)[..DIGITS];
        format!("{}/{name}{ending}", self.directory)
    }

    /// Returns the entries that were written since the last call, and why others are dropped.
    ///
    /// # Errors
    /// [`StorageError`]
    pub(super) async fn written(&self) -> Result<(Vec<Entry>, Vec<EntryError>), StorageError> {
        let mut listed = (*self.objects).list(Some(&self.directory));
        let (mut entries, mut dropped) = (Vec::new(), Vec::new());
        while let Some(object) = listed.try_next().await? {
            if !object.key.ends_with(ENTRY) {
                continue;
            }
            let before = {
                let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
                read.insert(object.key.clone(), object.last_modified)
            };
            if before == Some(object.last_modified) {
                continue;
            }
            match self.read(&object.key, None).await? {
                Ok(entry) => entries.extend(entry),
                Err(error) => dropped.push(error),
            }
        }
        Ok((entries, dropped))
    }

    /// Returns the entry of a bucket.
    ///
    /// # Errors
    /// [`StorageError`]
    pub(super) async fn find(
        &self,
        bucket: &str,
    ) -> Result<Result<Option<Entry>, EntryError>, StorageError> {
        self.read(&self.key_of(bucket, ENTRY), Some(bucket)).await
    }

    async fn read(
        &self,
        key: &str,
        bucket: Option<&str>,
    ) -> Result<Result<Option<Entry>, EntryError>, StorageError> {
        let Some((json, _)) = self.objects.read_version(key).await? else {
            return Ok(Ok(None));
        };
        let entry = Entry::read(&json, &self.key).and_then(|entry| self.fits(entry, bucket));
        if let Err(error) = entry {
            match error {
                // Somebody has to find out who wrote it.
                EntryError::Mac | EntryError::Endpoint => {
                    warn!("dropping {key:?} of the bucket cache: {error}");
                }
                _ => debug!("dropping {key:?} of the bucket cache: {error}"),
            }
            self.objects
                .delete(futures::stream::iter([key.to_owned()]))
                .await?;
            return Ok(Err(error));
        }
        Ok(entry.map(Some))
    }

    fn fits(&self, entry: Entry, bucket: Option<&str>) -> Result<Entry, EntryError> {
        if entry.endpoint != self.endpoint {
            Err(EntryError::Endpoint)
        } else if bucket.is_some_and(|bucket| bucket != entry.bucket) || entry.stored.is_none() {
            Err(EntryError::Unreadable)
        } else if entry.is_older_than(self.keep) {
            Err(EntryError::Age)
        } else {
            Ok(entry)
        }
    }

    /// Downloads the lines of an entry to `file`.
    ///
    /// # Errors
    /// [`EntryError::Content`], also when the object storage fails.
    pub(super) async fn fetch(&self, entry: &Entry, file: &Path) -> Result<(), EntryError> {
        let stored = entry.stored.as_ref().ok_or(EntryError::Content)?;
        let fetching =
            self.objects
                .fetch_unwrapped(&stored.key, Encoding::Zstd, &stored.object, file);
        let fetched = fetching.await;
        let _ = std::fs::remove_file(file.with_extension("object"));
        fetched.map_err(|error| {
            debug!("cannot read the bucket cache: {error}");
            EntryError::Content
        })
    }

    /// Stores the lines in `file`, then their entry.
    ///
    /// # Errors
    /// [`StorageError`]
    pub(super) async fn publish(&self, entry: &mut Entry, file: &Path) -> Result<(), StorageError> {
        let nonce = Uuid::new_v4().simple();
        let key = self.key_of(&entry.bucket, &format!("-{nonce}{LINES}"));
        let described = ("application/zstd", Encoding::Identity);
        let object = self
            .objects
            .put_file(&key, described, Encoding::Zstd, file, None)
            .await?;
        entry.stored = Some(Stored { key, object });
        let json = entry.sign(&self.key);
        let key = self.key_of(&entry.bucket, ENTRY);
        let found = self.objects.read_version(&key).await?;
        let version = found.map(|(_, version)| version);
        self.objects
            .replace(&key, "application/json", json.into(), version)
            .await?;
        Ok(())
    }

    /// Removes the entry of a bucket.
    pub(super) async fn remove(&self, bucket: &str) {
        let key = self.key_of(bucket, ENTRY);
        if let Err(error) = self.objects.delete(futures::stream::iter([key])).await {
            debug!("cannot remove an entry of the bucket cache: {error}");
        }
    }

    /// Takes the lease of a bucket; `None` while another worker has it.
    ///
    /// # Errors
    /// [`StorageError`]
    pub(super) async fn lease(&self, bucket: &str) -> Result<Option<Lease>, StorageError> {
        Lease::take(&self.objects, self.key_of(bucket, ".lease"), self.lease).await
    }

    /// Returns whether a worker fills the entry of a bucket.
    ///
    /// # Errors
    /// [`StorageError`]
    pub(super) async fn is_leased(&self, bucket: &str) -> Result<bool, StorageError> {
        Lease::is_held(&self.objects, &self.key_of(bucket, ".lease")).await
    }
}
