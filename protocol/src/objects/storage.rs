//! [`ObjectStorage`]: opens a place, and looks up, lists, reads, signs, deletes and checks what is in it.

use std::{path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{Stream, StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, path::Path as Key};
use tokio_util::task::TaskTracker;
use url::Url;
use uuid::Uuid;

use super::{
    directory,
    error::StorageError,
    open::{self, BucketSigner, Opened},
    place::Place,
    services::{
        CHOSEN_ENDPOINTS, ENDPOINTS,
        lacks::{Lacks, may_lack_bulk_delete},
    },
    spans,
};

/// Objects that are deleted together; S3 takes as many in one request.
const DELETED_TOGETHER: usize = 1000;

/// What [`ObjectStorage::write_check_object`] writes.
pub const CHECK_CONTENT: &str = "seedbed";

/// One object, without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredObject {
    /// Its key below the URL.
    pub key: String,
    pub bytes: u64,
    /// When it was written, by the clock of the storage.
    pub last_modified: DateTime<Utc>,
}

impl From<ObjectMeta> for StoredObject {
    fn from(object: ObjectMeta) -> Self {
        Self {
            key: object.location.to_string(),
            bytes: object.size,
            last_modified: object.last_modified,
        }
    }
}

/// A small object that was written for a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckObject {
    pub stored: StoredObject,
    ignores_conditions: bool,
}

/// What a service does with writes that have a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conditions {
    /// It writes only if the condition holds.
    Kept,
    /// It says that it has none; objects are written without.
    Refused,
    /// It writes all the same, and says nothing.
    Ignored,
}

/// What a service turned out to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limitations {
    pub conditions: Conditions,
    /// Whether several objects can be deleted by one request.
    pub bulk_delete: bool,
}

/// The objects of a directory or a bucket.
#[derive(Debug, Clone)]
pub struct ObjectStorage {
    pub(super) objects: Arc<dyn ObjectStore>,
    pub(super) place: Place,
    /// The same, but deletes objects one by one, where `objects` deletes them together.
    singly: Option<Arc<dyn ObjectStore>>,
    /// What the service turned out not to have.
    pub(super) lacks: Lacks,
    /// None for a directory.
    signer: Option<BucketSigner>,
    /// Transfers that must finish even if their caller is cancelled.
    pub(super) unfinished: TaskTracker,
}

impl ObjectStorage {
    /// Opens what `url` names. A directory is made if it is missing; whether a bucket exists and can be used,
    /// [`Self::write_check_object`] finds out. Credentials and endpoints come from the environment (`AWS_…`, `AZURE_…`,
    /// `GOOGLE_…`) and the platform's usual chain.
    ///
    /// # Errors
    /// [`StorageError::Url`], [`StorageError::Environment`], or [`StorageError::Directory`] when the directory cannot
    /// be made or entered.
    pub fn open(url: &str) -> Result<Self, StorageError> {
        Self::open_with(url, environment())
    }

    /// Does [`Self::open`] with this endpoint of the service instead of the environment's: the one that others reach it
    /// by, to sign URLs for them.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_at(url: &str, endpoint: &Url) -> Result<Self, StorageError> {
        let others = environment().filter(|(name, _)| !ENDPOINTS.contains(&name.as_str()));
        let endpoint = endpoint.as_str().trim_end_matches('/');
        let own = CHOSEN_ENDPOINTS.map(|name| (name.to_owned(), endpoint.to_owned()));
        Self::open_with(url, others.chain(own))
    }

    /// Does [`Self::open`] with other environment variables than those of this process.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(
        url: &str,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, StorageError> {
        let Opened {
            place,
            objects,
            singly,
            signer,
        } = open::open(url, variables)?;
        Ok(Self {
            objects,
            place,
            singly,
            lacks: Lacks::default(),
            signer,
            unfinished: TaskTracker::new(),
        })
    }

    /// Returns the URL that was opened.
    pub fn url(&self) -> &str {
        &self.place.url
    }

    /// Returns whether objects are files of this machine.
    pub fn is_directory(&self) -> bool {
        self.place.directory().is_some()
    }

    /// Returns the file that holds the object `key`, if objects are files.
    pub fn local_path(&self, key: &str) -> Option<PathBuf> {
        Some(self.place.directory()?.join(key))
    }

    /// Returns where the object `key` is, for people: a path or a URL.
    pub fn location(&self, key: &str) -> String {
        match self.local_path(key) {
            Some(path) => path.display().to_string(),
            None => format!("{}/{key}", self.place.url),
        }
    }

    /// Returns a URL by which anyone can read the object `key` for `lifetime`, at most seven days; `None` for a
    /// directory, whose files have no URL. Whether the object is there is not looked at.
    ///
    /// # Errors
    /// [`StorageError`] when there is no key to sign with.
    pub async fn sign(&self, key: &str, lifetime: Duration) -> Result<Option<Url>, StorageError> {
        let Some(signer) = &self.signer else {
            return Ok(None);
        };
        let signed = signer.sign(key, lifetime).await;
        let signed = signed.map_err(|e| self.place.failed("sign a URL of", key, &e))?;
        Ok(Some(signed))
    }

    /// Reads the small object `key`.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn read(&self, key: &str) -> Result<Bytes, StorageError> {
        let read = async { self.objects.get(&Key::from(key)).await?.bytes().await };
        read.await.map_err(|e| self.place.failed("read", key, &e))
    }

    /// Lists all objects, or those below `directory`, in no particular order.
    pub fn list(
        &self,
        directory: Option<&str>,
    ) -> BoxStream<'_, Result<StoredObject, StorageError>> {
        let objects = self.objects.list(directory.map(Key::from).as_ref());
        objects
            .map_ok(StoredObject::from)
            .map_err(|e| self.place.failed("list", "", &e))
            .boxed()
    }

    /// Returns the object `key`, without its content; `None` if it is not there, or its bucket is not.
    ///
    /// # Errors
    /// [`StorageError`] when the service does not tell.
    pub async fn head(&self, key: &str) -> Result<Option<StoredObject>, StorageError> {
        match self.objects.head(&Key::from(key)).await {
            Ok(object) => Ok(Some(object.into())),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.place.failed("look up", key, &error)),
        }
    }

    /// Does [`Self::head`] within a span, for a job's trace.
    ///
    /// # Errors
    /// [`StorageError`] when the service does not tell.
    pub async fn look_up(&self, key: &str) -> Result<Option<StoredObject>, StorageError> {
        self.traced("head", key, self.head(key)).await
    }

    /// Removes these objects, in batches where the service takes them, otherwise one by one. Idempotent: an object that is
    /// not there is fine.
    ///
    /// # Errors
    /// The first [`StorageError`]; some of the objects may be gone, and calling again with all keys is right.
    pub async fn delete(
        &self,
        keys: impl Stream<Item = String> + Send + 'static,
    ) -> Result<(), StorageError> {
        let mut batches = std::pin::pin!(keys.chunks(DELETED_TOGETHER));
        while let Some(batch) = batches.next().await {
            self.delete_batch(&batch).await?;
        }
        Ok(())
    }

    async fn delete_batch(&self, keys: &[String]) -> Result<(), StorageError> {
        let failed = |(key, error): (&str, _)| self.place.failed("delete", key, &error);
        let Some(singly) = &self.singly else {
            return delete_all(&self.objects, keys, true).await.map_err(failed);
        };
        if !self.lacks.bulk_delete() {
            // What is not found here is the service's answer to such requests, and no object.
            match delete_all(&self.objects, keys, false).await {
                Err((_, error)) if may_lack_bulk_delete(&error) => {}
                deleted => return deleted.map_err(failed),
            }
        }
        delete_all(singly, keys, true).await.map_err(failed)?;
        self.lacks.learn_bulk_delete();
        Ok(())
    }

    /// Removes every object of `directory` whose name begins with `start`, and in a local directory what was left
    /// half-written. (Elsewhere, a lifecycle rule removes that.) Idempotent.
    ///
    /// # Errors
    /// [`StorageError`]; calling again continues where this stopped.
    pub async fn delete_starting(&self, directory: &str, start: &str) -> Result<(), StorageError> {
        if let Some(path) = self.local_path(directory) {
            return directory::remove_files(path, start).await;
        }
        let begins = format!("{directory}/{start}");
        let keys = self.list(Some(directory)).map_ok(|object| object.key);
        let keys: Vec<String> = keys.try_collect().await?;
        let keys = keys.into_iter().filter(move |key| key.starts_with(&begins));
        self.delete(futures::stream::iter(keys)).await
    }

    /// Writes a small object as snapshots are written, reads it, and returns what the storage knows of it. A bucket is asked
    /// to write it once more, on the condition that it is not there.
    ///
    /// # Errors
    /// [`StorageError`] of the first of them that fails; then the object is removed, as far as that is possible.
    pub async fn write_check_object(&self) -> Result<CheckObject, StorageError> {
        let name = format!("seedbed-check-{}", Uuid::now_v7());
        let written = self.write_and_read(&name).await;
        if written.is_err() {
            // What failed says more than that this fails too.
            let _ = self.delete_batch(&[name]).await;
        }
        written
    }

    async fn write_and_read(&self, name: &str) -> Result<CheckObject, StorageError> {
        let key = Key::from(name);
        let content = || bytes::Bytes::from_static(CHECK_CONTENT.as_bytes());
        let mut ignores_conditions = false;
        if self.is_directory() {
            let written = self.objects.put(&key, content().into()).await;
            written.map_err(|e| self.place.failed("write", name, &e))?;
        } else {
            self.replace(name, "text/plain", content(), None).await?;
            let again = self.replace(name, "text/plain", content(), None).await?;
            ignores_conditions = again && !self.lacks.conditions();
        }
        self.read(name).await?;
        let known = self.objects.head(&key).await;
        let known = known.map_err(|e| self.place.failed("look up", name, &e))?;
        Ok(CheckObject {
            stored: known.into(),
            ignores_conditions,
        })
    }

    /// Removes what [`Self::write_check_object`] wrote.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn remove_check_object(&self, object: &CheckObject) -> Result<(), StorageError> {
        let key = std::slice::from_ref(&object.stored.key);
        self.delete_batch(key).await
    }

    /// Returns what the service turned out not to have when `object` was written and removed.
    pub fn limitations(&self, object: &CheckObject) -> Limitations {
        Limitations {
            conditions: match (self.lacks.conditions(), object.ignores_conditions) {
                (true, _) => Conditions::Refused,
                (false, true) => Conditions::Ignored,
                (false, false) => Conditions::Kept,
            },
            bulk_delete: !self.lacks.bulk_delete(),
        }
    }

    /// Does `work` on the object `key` within a span of its own.
    pub(crate) async fn traced<T>(
        &self,
        operation: &'static str,
        key: &str,
        work: impl Future<Output = Result<T, StorageError>>,
    ) -> Result<T, StorageError> {
        spans::traced(&self.place, operation, key, work).await
    }
}

/// Deletes the objects; the error comes with the key that it is about, as far as the service says.
async fn delete_all<'keys>(
    objects: &Arc<dyn ObjectStore>,
    keys: &'keys [String],
    may_be_missing: bool,
) -> Result<(), (&'keys str, object_store::Error)> {
    let paths: Vec<_> = keys.iter().map(|key| Ok(Key::from(key.as_str()))).collect();
    let mut deleted = objects.delete_stream(futures::stream::iter(paths).boxed());
    for key in keys {
        match deleted.next().await {
            Some(Ok(_)) => {}
            Some(Err(object_store::Error::NotFound { .. })) if may_be_missing => {}
            Some(Err(error)) => return Err((key, error)),
            None => break,
        }
    }
    Ok(())
}

/// Returns the variables of this process, as far as they are Unicode.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn deleting_by_the_start_of_names_takes_staged_files_and_spares_others() {
        let directory = tempfile::tempdir().unwrap();
        let storage = ObjectStorage::open(&format!("file:{}", directory.path().display())).unwrap();
        let source = directory.path().join("7");
        std::fs::create_dir(&source).unwrap();
        for name in ["a-1.sqlite", "a-1.sqlite#1", "b-1.json"] {
            std::fs::write(source.join(name), "x").unwrap();
        }
        storage.delete_starting("7", "a-").await.unwrap();
        let left = storage.list(None).map_ok(|o| o.key);
        let left: Vec<_> = left.try_collect().await.unwrap();
        assert_eq!(left, ["7/b-1.json"]);
        assert_eq!(std::fs::read_dir(source).unwrap().count(), 1);
    }
}
