//! Replaces objects: a small one only if it is still what was read (compare and swap), any one by a copy of another.

use bytes::Bytes;
use object_store::{
    Error as E, ObjectStoreExt, PutMode, PutOptions, UpdateVersion, path::Path as Key,
};
use tokio_util::{io::StreamReader, sync::CancellationToken};

use super::{directory, error::StorageError, storage::ObjectStorage, transfer};
use crate::manifest::Encoding;

/// Up to this size, in bytes, the service copies an object by itself. S3 would up to 5 GiB
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html>), but not within the time of one request.
const MAX_COPY_BYTES: u64 = 1 << 30;

/// Which content of an object was read. `None` for a file: files have versions, but none that the next write can be
/// made to depend on.
#[derive(Debug, Clone)]
pub struct Version(Option<UpdateVersion>);

impl ObjectStorage {
    /// Reads the small object `key` and its version; `None` if it is not there.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn read_version(&self, key: &str) -> Result<Option<(Bytes, Version)>, StorageError> {
        let object = match self.objects.get(&Key::from(key)).await {
            Ok(object) => object,
            Err(E::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(self.place.failed("read", key, &error)),
        };
        let version = (!self.is_directory()).then(|| UpdateVersion {
            e_tag: object.meta.e_tag.clone(),
            version: object.meta.version.clone(),
        });
        let content = object.bytes().await;
        let content = content.map_err(|e| self.place.failed("read", key, &e))?;
        Ok(Some((content, Version(version))))
    }

    /// Writes the small object `key` if it still is the `replaced` version, or still is not there. Returns whether it
    /// was written. A directory, and a service without conditional writes, overwrites.
    ///
    /// # Errors
    /// [`StorageError`]; then the object may or may not be written.
    pub async fn replace(
        &self,
        key: &str,
        media_type: &'static str,
        content: Bytes,
        replaced: Option<Version>,
    ) -> Result<bool, StorageError> {
        let mode = match replaced.and_then(|version| version.0) {
            Some(version) => PutMode::Update(version),
            None if self.is_directory() => PutMode::Overwrite,
            None => PutMode::Create,
        };
        let mode = if self.lacks.conditions() {
            PutMode::Overwrite
        } else {
            mode
        };
        let target = Key::from(key);
        let put = |mode| {
            let options = PutOptions {
                mode,
                attributes: self.place.attributes(media_type, Encoding::Identity),
                ..PutOptions::default()
            };
            let content = content.clone().into();
            self.objects.put_opts(&target, content, options)
        };
        let written = match put(mode).await {
            Err(error) if self.lacks.learn_conditions(&error) => put(PutMode::Overwrite).await,
            written => written,
        };
        match written {
            Ok(_) => Ok(true),
            Err(E::AlreadyExists { .. } | E::Precondition { .. }) => Ok(false),
            Err(error) => Err(self.place.failed("write", key, &error)),
        }
    }

    /// Copies the object `from`, of this many bytes, to `to`, replacing what is there.
    ///
    /// # Errors
    /// [`StorageError`]; then `to` is what it was.
    pub async fn copy(
        &self,
        from: &str,
        to: &str,
        bytes: u64,
        (media_type, encoding): (&'static str, Encoding),
    ) -> Result<(), StorageError> {
        let (source, target) = (Key::from(from), Key::from(to));
        if let (Some(from), Some(to)) = (self.local_path(from), self.local_path(to))
            && directory::are_one_file(&from, &to)
        {
            // A copy is a second name here, and a rename to a name of the same file would leave a third.
            return Ok(());
        }
        if bytes <= MAX_COPY_BYTES || self.is_directory() {
            let copied = self.objects.copy(&source, &target).await;
            return copied.map_err(|e| self.place.failed("copy", from, &e));
        }
        let object = self.objects.get(&source).await;
        let object = object.map_err(|e| self.place.failed("read", from, &e))?;
        let attributes = self.place.attributes(media_type, encoding);
        let input = StreamReader::new(object.into_stream());
        let stop = CancellationToken::new();
        let sent = transfer::send(
            (&self.objects, &self.lacks),
            &target,
            attributes,
            input,
            &stop,
        )
        .await;
        sent.map(|_| ()).map_err(|e| e.at(&self.place, to))
    }
}
