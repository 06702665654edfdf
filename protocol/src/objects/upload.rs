//! Writes objects so that they appear whole or not at all, also when the caller is cancelled.

use std::{io, path::Path};

use bytes::Bytes;
use object_store::path::Path as Key;
use tokio::io::BufReader;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{
    compression::wrap,
    directory::move_file,
    error::StorageError,
    storage::ObjectStorage,
    transfer::{self, TransferError},
};
use crate::{digest::Hashed, manifest::Encoding, telemetry::trace::attribute};

/// How much of a file is read at a time, in bytes.
const READ_BYTES: usize = 1 << 16;

impl ObjectStorage {
    /// Stores `file` in this encoding as the new object `key`, in constant memory, and hashes what is stored. HTTP clients are
    /// told `described`, a media type and a Content-Encoding. The file itself is gone afterwards if it could be moved there,
    /// which only what is not compressed allows; then it is not read again if it is `known` what it is.
    ///
    /// When the returned future is dropped, a move continues, and anything else is stopped and taken back;
    /// [`Self::settled`] waits for either.
    ///
    /// # Errors
    /// [`StorageError`]; then there is no such object.
    pub async fn put_file(
        &self,
        key: &str,
        described: (&'static str, Encoding),
        encoding: Encoding,
        file: &Path,
        known: Option<&Hashed>,
    ) -> Result<Hashed, StorageError> {
        let putting = async {
            let moved = match encoding.is_compressed() {
                false => self.try_move(file, key, known).await?,
                true => None,
            };
            let sent = match moved {
                Some(sent) => sent,
                None => self.send(key, described, encoding, file).await?,
            };
            if let Some(known) = known
                && *known != sent
            {
                let keys = futures::stream::iter([key.to_owned()]);
                let _ = self.delete(keys).await;
                return Err(StorageError::Altered {
                    key: key.to_owned(),
                    url: self.url().to_owned(),
                    bytes: known.bytes,
                });
            }
            let span = Span::current();
            span.set_attribute("seedbed.encoding", encoding.name());
            span.set_attribute("seedbed.bytes", attribute(sent.bytes));
            Ok(sent)
        };
        self.traced("put", key, putting).await
    }

    /// Creates the small object `key`. Idempotent: what is there already counts if it is the same.
    ///
    /// # Errors
    /// [`StorageError`]; then there is no such object, or another one.
    pub async fn create(
        &self,
        key: &str,
        media_type: &'static str,
        content: Bytes,
    ) -> Result<(), StorageError> {
        let (objects, target) = (self.objects.clone(), Key::from(key));
        let attributes = self.place.attributes(media_type, Encoding::Identity);
        let lacks = self.lacks.clone();
        let writing =
            async move { transfer::create((&objects, &lacks), &target, content, attributes).await };
        let creating = async {
            let written = self.to_its_end(writing).await;
            written.map_err(|error| self.place.failed("write", key, &error))
        };
        self.traced("put", key, creating).await
    }

    /// Waits until every transfer whose caller was cancelled is finished or aborted.
    pub async fn settled(&self) {
        self.unfinished.close();
        self.unfinished.wait().await;
        self.unfinished.reopen();
    }

    /// Moves `file` to the object `key` and hashes it, unless it is `known` what it is; `None` if that is not a file on the same file system.
    async fn try_move(
        &self,
        file: &Path,
        key: &str,
        known: Option<&Hashed>,
    ) -> Result<Option<Hashed>, StorageError> {
        let Some(target) = self.local_path(key) else {
            return Ok(None);
        };
        let (source, to, known) = (file.to_owned(), target.clone(), known.cloned());
        // Tracked, since a move cannot be cancelled.
        let moved = self
            .unfinished
            .spawn_blocking(move || move_file(&source, &to, known))
            .await;
        match moved.unwrap_or_else(|e| Err(io::Error::other(e))) {
            Ok(sent) => Ok(Some(sent)),
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => Ok(None),
            Err(source) => Err(StorageError::File {
                action: "write",
                path: target,
                source,
            }),
        }
    }

    async fn send(
        &self,
        key: &str,
        (media_type, announced): (&'static str, Encoding),
        encoding: Encoding,
        file: &Path,
    ) -> Result<Hashed, StorageError> {
        let unreadable = |source| StorageError::File {
            action: "read",
            path: file.to_owned(),
            source,
        };
        let input = tokio::fs::File::open(file).await.map_err(unreadable)?;
        let input = wrap(encoding, BufReader::with_capacity(READ_BYTES, input));
        let (objects, target) = (self.objects.clone(), Key::from(key));
        let attributes = self.place.attributes(media_type, announced);
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let _stop = stop.drop_guard();
        let lacks = self.lacks.clone();
        let sending = async move {
            transfer::send((&objects, &lacks), &target, attributes, input, &stopped).await
        };
        match self.to_its_end(sending).await {
            Err(TransferError::Input(source)) => Err(unreadable(source)),
            sent => sent.map_err(|error| error.at(&self.place, key)),
        }
    }

    /// Runs `work` to its end, even if the caller is cancelled.
    async fn to_its_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> T {
        match self.unfinished.spawn(work.in_current_span()).await {
            Ok(done) => done,
            // The task is never aborted, so it can only have panicked.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}
