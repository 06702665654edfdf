//! Where snapshots live: a URL becomes an object store, a job becomes keys, a manifest becomes JSON.
//!
//! An object appears under its key only when all of it is there; before that, a `file:` store holds it
//! under a staging name that ends in `#` and a number, and the others hold parts that nobody can read. Nothing
//! is ever overwritten: a [`SnapshotName`] belongs to one delivery of one attempt. The manifest is written
//! after the files that it names, so a manifest is the sign that a snapshot is whole. Only the copies below
//! `latest/` are replaced ([`SnapshotStore::put_latest`]).

mod config;
mod directory;
mod encoding;
mod error;
mod hashing;
mod latest;
mod name;
mod place;
mod spans;
mod transfer;
mod upload;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{Stream, StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{GetResultPayload, ObjectMeta, ObjectStore, ObjectStoreExt, path::Path as Key};
use tokio_util::{io::ReaderStream, task::TaskTracker};
use url::Url;

pub use self::{
    config::SnapshotsConfig,
    encoding::{unwrap, unwrap_to, wrap},
    error::SnapshotStoreError,
    name::{SnapshotName, SnapshotPart, keys_of, latest_key},
    transfer::PART_BYTES,
};
use self::{
    error::{Refusal, diagnose},
    hashing::HashingWriter,
    place::{BucketSigner, Opened, Place},
};
pub use crate::digest::Hashed as Fetched;
use crate::{
    JobId, StoreId,
    message::{Encoding, Manifest, Rendition},
};

/// How much of a file is read at a time.
const FILE_CHUNK_BYTES: usize = 1024 * 1024;

/// What [`SnapshotStore::write_check_object`] writes.
pub const CHECK_CONTENT: &str = "seedbed";

/// One object of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredObject {
    /// Its key below the snapshot URL.
    pub key: String,
    /// The snapshot that it belongs to, and which part it is; `None` for objects of anybody else and for the
    /// copies below `latest/`.
    pub snapshot: Option<(SnapshotName, SnapshotPart)>,
    /// Its size.
    pub bytes: u64,
    /// When it was written, by the store's clock.
    pub last_modified: DateTime<Utc>,
}

impl From<ObjectMeta> for StoredObject {
    fn from(object: ObjectMeta) -> Self {
        let key = object.location.to_string();
        Self {
            snapshot: SnapshotName::of_key(&key),
            key,
            bytes: object.size,
            last_modified: object.last_modified,
        }
    }
}

/// The objects of all snapshots.
#[derive(Debug, Clone)]
pub struct SnapshotStore {
    objects: Arc<dyn ObjectStore>,
    place: Place,
    /// None for a directory.
    signer: Option<BucketSigner>,
    /// What must not end by halves, and goes on when its caller does not.
    unfinished: TaskTracker,
}

impl SnapshotStore {
    /// Opens the store that `snapshots.url` names. A directory is made if it is missing; whether a bucket is
    /// there and lets us in, [`Self::check`] tells. Credentials and endpoints come from the environment
    /// (`AWS_…`, `AZURE_…`, `GOOGLE_…`) and the platform's usual chain.
    ///
    /// # Errors
    /// [`SnapshotStoreError::Url`], [`SnapshotStoreError::Environment`], or [`SnapshotStoreError::Directory`]
    /// when the directory cannot be made or entered.
    pub fn open(config: &SnapshotsConfig) -> Result<Self, SnapshotStoreError> {
        Self::open_with(config, environment())
    }

    /// [`Self::open`] where `endpoint` is that of the object store, whatever the environment says: the one that
    /// others reach it by, to sign URLs for them.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_at(config: &SnapshotsConfig, endpoint: &Url) -> Result<Self, SnapshotStoreError> {
        let others = environment().filter(|(name, _)| !place::ENDPOINTS.contains(&name.as_str()));
        let endpoint = endpoint.as_str().trim_end_matches('/');
        let own = place::CHOSEN_ENDPOINTS.map(|name| (name.to_owned(), endpoint.to_owned()));
        Self::open_with(config, others.chain(own))
    }

    /// [`Self::open`] with other environment variables than those of this process.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(
        config: &SnapshotsConfig,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, SnapshotStoreError> {
        let Opened {
            place,
            objects,
            signer,
        } = place::open(&config.url, variables)?;
        Ok(Self {
            objects,
            place,
            signer,
            unfinished: TaskTracker::new(),
        })
    }

    /// The URL that was opened.
    pub fn url(&self) -> &str {
        &self.place.url
    }

    /// The file that holds the object `key`, when snapshots are in a directory.
    pub fn local_path(&self, key: &str) -> Option<PathBuf> {
        Some(self.place.directory()?.join(key))
    }

    /// Where the object `key` is, for people: a path or a URL.
    pub fn location(&self, key: &str) -> String {
        match self.local_path(key) {
            Some(path) => path.display().to_string(),
            None => format!("{}/{key}", self.place.url),
        }
    }

    /// A URL by which everybody can read the object `key` for `lifetime`, at most seven days; `None` for a directory,
    /// whose files have no URL. Whether the object is there is not looked at.
    ///
    /// # Errors
    /// [`SnapshotStoreError`] when there is no key to sign with.
    pub async fn sign(
        &self,
        key: &str,
        lifetime: Duration,
    ) -> Result<Option<Url>, SnapshotStoreError> {
        let Some(signer) = &self.signer else {
            return Ok(None);
        };
        let signed = signer.sign(key, lifetime).await;
        signed
            .map(Some)
            .map_err(|e| self.failed("sign a URL of", key, &e))
    }

    /// The manifest under `key`.
    ///
    /// # Errors
    /// [`SnapshotStoreError`], also when it is not a manifest.
    pub async fn get_manifest(&self, key: &str) -> Result<Manifest, SnapshotStoreError> {
        let json = self.read(key).await?;
        self.parse_manifest(key, &json)
    }

    fn parse_manifest(&self, key: &str, json: &[u8]) -> Result<Manifest, SnapshotStoreError> {
        serde_json::from_slice(json).map_err(|source| SnapshotStoreError::Manifest {
            key: key.to_owned(),
            url: self.place.url.clone(),
            source,
        })
    }

    async fn read(&self, key: &str) -> Result<Bytes, SnapshotStoreError> {
        let read = async { self.objects.get(&Key::from(key)).await?.bytes().await };
        read.await.map_err(|e| self.failed("read", key, &e))
    }

    /// Downloads the object `key` to `file` as it is stored, in constant memory, hashing it on the way.
    ///
    /// # Errors
    /// [`SnapshotStoreError`]; then `file` is incomplete.
    pub async fn fetch(&self, key: &str, file: &Path) -> Result<Fetched, SnapshotStoreError> {
        let unwritable = |source| SnapshotStoreError::File {
            action: "write",
            path: file.to_owned(),
            source,
        };
        let mut chunks = self.chunks(key).await?;
        let output = std::fs::File::create(file).map_err(unwritable)?;
        let writer = HashingWriter::start(output);
        while let Some(chunk) = chunks.next().await {
            if !writer.write(chunk?).await {
                break;
            }
        }
        writer.finish().await.map_err(unwritable)
    }

    /// The content of the object `key`, in order.
    async fn chunks(
        &self,
        key: &str,
    ) -> Result<BoxStream<'_, Result<Bytes, SnapshotStoreError>>, SnapshotStoreError> {
        let object = self.objects.get(&Key::from(key)).await;
        let object = object.map_err(|e| self.failed("read", key, &e))?;
        let key = key.to_owned();
        // In its own pieces, a file would come in very small ones.
        if let GetResultPayload::File(file, _) = object.payload {
            let file = tokio::fs::File::from_std(file);
            let chunks = ReaderStream::with_capacity(file, FILE_CHUNK_BYTES);
            let unreadable = move |error: std::io::Error| {
                let source = Box::new(error);
                let store = "LocalFileSystem";
                self.failed(
                    "read",
                    &key,
                    &object_store::Error::Generic { store, source },
                )
            };
            return Ok(chunks.map_err(unreadable).boxed());
        }
        let chunks = object.into_stream();
        Ok(chunks
            .map_err(move |e| self.failed("read", &key, &e))
            .boxed())
    }

    /// Downloads the SQLite file of a snapshot to `file`, in constant memory.
    ///
    /// # Errors
    /// [`SnapshotStoreError`]; [`SnapshotStoreError::Altered`] if the object is not what `rendition` says.
    pub async fn fetch_database(
        &self,
        rendition: &Rendition,
        file: &Path,
    ) -> Result<(), SnapshotStoreError> {
        let Rendition {
            encoding,
            key,
            bytes,
            sha256,
        } = rendition;
        let object = match encoding {
            Encoding::Identity => file.to_owned(),
            Encoding::Gzip | Encoding::Zstd => file.with_extension("object"),
        };
        let fetched = self.traced("get", key, self.fetch(key, &object)).await?;
        if (fetched.bytes, &fetched.sha256) != (*bytes, sha256) {
            return Err(SnapshotStoreError::Altered {
                key: key.clone(),
                url: self.url().to_owned(),
                bytes: *bytes,
            });
        }
        if *encoding != Encoding::Identity {
            let unwrapped = unwrap_to(*encoding, &object, file).await;
            unwrapped.map_err(|source| SnapshotStoreError::File {
                action: "unwrap",
                path: object,
                source,
            })?;
        }
        Ok(())
    }

    /// All objects below the snapshot URL, in no particular order.
    pub fn list(&self) -> BoxStream<'_, Result<StoredObject, SnapshotStoreError>> {
        self.list_below(None)
    }

    fn list_below(
        &self,
        directory: Option<&str>,
    ) -> BoxStream<'_, Result<StoredObject, SnapshotStoreError>> {
        let objects = self.objects.list(directory.map(Key::from).as_ref());
        objects
            .map_ok(StoredObject::from)
            .map_err(|e| self.failed("list", "", &e))
            .boxed()
    }

    /// The object `key`, without its content; `None` if it is not there, or its bucket is not.
    ///
    /// # Errors
    /// [`SnapshotStoreError`] when the store does not tell.
    pub async fn head(&self, key: &str) -> Result<Option<StoredObject>, SnapshotStoreError> {
        match self.objects.head(&Key::from(key)).await {
            Ok(object) => Ok(Some(object.into())),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed("look up", key, &error)),
        }
    }

    /// [`Self::head`], for a job: as a part of its trace.
    ///
    /// # Errors
    /// [`SnapshotStoreError`] when the store does not tell.
    pub async fn look_up(&self, key: &str) -> Result<Option<StoredObject>, SnapshotStoreError> {
        self.traced("head", key, self.head(key)).await
    }

    /// Removes these objects, in batches where the store takes them; one that is not there is fine.
    ///
    /// # Errors
    /// The first [`SnapshotStoreError`]; objects before and after it may be gone or not, and calling again
    /// with all keys is right.
    pub async fn delete(
        &self,
        keys: impl Stream<Item = String> + Send + 'static,
    ) -> Result<(), SnapshotStoreError> {
        let keys = keys.map(|key| Ok(Key::from(key))).boxed();
        let mut deleted = self.objects.delete_stream(keys);
        while let Some(result) = deleted.next().await {
            match result {
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(self.failed("delete", "", &error)),
            }
        }
        Ok(())
    }

    /// Removes every object that `job_id` wrote for `store_id`, and what it left half-written.
    ///
    /// # Errors
    /// [`SnapshotStoreError`]; calling again goes on where this stopped.
    pub async fn delete_job(
        &self,
        store_id: &StoreId,
        job_id: JobId,
    ) -> Result<(), SnapshotStoreError> {
        let directory = name::directory_of(store_id);
        if let Some(path) = self.local_path(&directory) {
            return directory::remove_files(&path, &format!("{job_id}-")).await;
        }
        let objects = self.list_below(Some(&directory));
        let of_job = objects.try_filter_map(async |object| {
            let snapshot = object.snapshot.as_ref();
            let is_of_job = snapshot.is_some_and(|(name, _)| name.job_id() == job_id);
            Ok(is_of_job.then_some(object.key))
        });
        let keys: Vec<String> = of_job.try_collect().await?;
        self.delete(futures::stream::iter(keys)).await
    }

    /// Writes, reads and deletes a small object.
    ///
    /// # Errors
    /// [`SnapshotStoreError`] of the first of them that fails.
    pub async fn check(&self) -> Result<(), SnapshotStoreError> {
        let written = self.write_check_object().await?;
        self.remove_check_object(&written).await
    }

    /// Writes a small object, reads it, and says what the store knows of it.
    ///
    /// # Errors
    /// [`SnapshotStoreError`] of the first of them that fails.
    pub async fn write_check_object(&self) -> Result<StoredObject, SnapshotStoreError> {
        let name = format!("seedbed-check-{}", JobId::new());
        let key = Key::from(name.as_str());
        let written = self.objects.put(&key, CHECK_CONTENT.into()).await;
        written.map_err(|e| self.failed("write", &name, &e))?;
        self.read(&name).await?;
        let known = self.objects.head(&key).await;
        known
            .map(StoredObject::from)
            .map_err(|e| self.failed("look up", &name, &e))
    }

    /// Removes what [`Self::write_check_object`] wrote.
    ///
    /// # Errors
    /// [`SnapshotStoreError`].
    pub async fn remove_check_object(
        &self,
        object: &StoredObject,
    ) -> Result<(), SnapshotStoreError> {
        let removed = self.objects.delete(&Key::from(object.key.as_str())).await;
        removed.map_err(|e| self.failed("delete", &object.key, &e))
    }

    fn failed(
        &self,
        action: &'static str,
        key: &str,
        error: &object_store::Error,
    ) -> SnapshotStoreError {
        let (refusal, reason) = diagnose(error);
        let (key, url) = (key.to_owned(), self.place.url.clone());
        match refusal {
            Refusal::NotFound if action == "read" || action == "copy" => {
                SnapshotStoreError::NotFound { key, url }
            }
            Refusal::NotFound | Refusal::NoBucket => SnapshotStoreError::NoBucket { url, reason },
            Refusal::Credentials => SnapshotStoreError::Credentials {
                url,
                reason,
                variables: self.place.variables(),
            },
            Refusal::Denied => SnapshotStoreError::Denied {
                action,
                key,
                url,
                reason,
            },
            Refusal::Unsupported | Refusal::Failure => SnapshotStoreError::Object {
                action,
                key,
                url,
                reason,
                transient: refusal == Refusal::Failure,
            },
        }
    }
}

/// The variables of this process, as far as they are Unicode.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Attempt, message::Encoding};

    fn open(directory: &Path) -> SnapshotStore {
        let config = SnapshotsConfig {
            url: format!("file:{}", directory.display()),
            renditions: vec![Encoding::Identity],
            latest: false,
        };
        SnapshotStore::open(&config).unwrap()
    }

    #[tokio::test]
    async fn deleting_a_job_spares_the_other_jobs_of_its_store() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        let id = StoreId::new("7").unwrap();
        let (gone, kept) = (JobId::new(), JobId::new());
        let kept = SnapshotName::new(&id, kept, Attempt::FIRST).key(SnapshotPart::Manifest);
        let source = directory.path().join("7");
        std::fs::create_dir(&source).unwrap();
        std::fs::write(source.join(format!("{gone}-1-00000001.sqlite")), "x").unwrap();
        std::fs::write(source.join(format!("{gone}-1-00000001.sqlite#1")), "x").unwrap();
        std::fs::write(directory.path().join(&kept), "x").unwrap();
        store.delete_job(&id, gone).await.unwrap();
        let left: Vec<_> = store.list().map_ok(|o| o.key).try_collect().await.unwrap();
        assert_eq!(left, [kept]);
        assert_eq!(std::fs::read_dir(source).unwrap().count(), 1);
    }
}
