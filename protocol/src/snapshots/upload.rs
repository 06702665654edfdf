//! Writing the objects of a snapshot.

use std::path::Path;

use bytes::Bytes;
use object_store::{Attribute, Attributes, path::Path as Key};
use tokio::io::BufReader;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{
    SnapshotName, SnapshotPart, SnapshotStore, SnapshotStoreError,
    transfer::{self, TransferError},
    wrap,
};
use crate::{
    digest::Hashed,
    message::{Encoding, Manifest, Rendition},
    trace::attribute,
};

/// The media type of SQLite files (<https://www.iana.org/assignments/media-types/application/vnd.sqlite3>).
const SQLITE_MEDIA_TYPE: &str = "application/vnd.sqlite3";

/// How much of a file is read at a time, in bytes.
const READ_BYTES: usize = 1 << 16;

impl SnapshotStore {
    /// Stores the SQLite `file` in this encoding as one of the files of `name`, in constant memory, and hashes
    /// what is stored. The file itself is gone afterwards if it could be moved there, which only
    /// [`Encoding::Identity`] allows.
    ///
    /// When the returned future is dropped, a move goes on, and anything else is stopped and taken back;
    /// [`Self::settled`] waits for either.
    ///
    /// # Errors
    /// [`SnapshotStoreError`]; then there is no such object.
    pub async fn put(
        &self,
        name: &SnapshotName,
        encoding: Encoding,
        file: &Path,
    ) -> Result<Rendition, SnapshotStoreError> {
        let key = name.key(SnapshotPart::File(encoding));
        let putting = async {
            let moved = match (encoding, self.local_path(&key)) {
                (Encoding::Identity, Some(target)) => self.try_move(file, target).await?,
                _ => None,
            };
            let sent = match moved {
                Some(sent) => sent,
                None => self.send(&key, encoding, file).await?,
            };
            let span = Span::current();
            span.set_attribute("seedbed.encoding", encoding.name());
            span.set_attribute("seedbed.bytes", attribute(sent.bytes));
            Ok(sent)
        };
        let sent = self.traced("put", &key, putting).await?;
        Ok(Rendition {
            encoding,
            key,
            bytes: sent.bytes,
            sha256: sent.sha256,
        })
    }

    async fn send(
        &self,
        key: &str,
        encoding: Encoding,
        file: &Path,
    ) -> Result<Hashed, SnapshotStoreError> {
        let unreadable = |source| SnapshotStoreError::File {
            action: "read",
            path: file.to_owned(),
            source,
        };
        let input = tokio::fs::File::open(file).await.map_err(unreadable)?;
        let input = wrap(encoding, BufReader::with_capacity(READ_BYTES, input));
        let (objects, target) = (self.objects.clone(), Key::from(key));
        let attributes = self.attributes(encoding);
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let _stop = stop.drop_guard();
        let sending =
            async move { transfer::send(&objects, &target, attributes, input, &stopped).await };
        match self.to_its_end(sending).await {
            Err(TransferError::Input(source)) => Err(unreadable(source)),
            sent => sent.map_err(|error| self.not_sent(key, error)),
        }
    }

    /// Writes the manifest beside the snapshot's files, and returns its key.
    ///
    /// # Errors
    /// [`SnapshotStoreError`]; then there is no manifest, and the files are unreferenced.
    pub async fn put_manifest(
        &self,
        name: &SnapshotName,
        manifest: &Manifest,
    ) -> Result<String, SnapshotStoreError> {
        let key = name.key(SnapshotPart::Manifest);
        let (objects, target) = (self.objects.clone(), Key::from(key.as_str()));
        let (json, attributes) = (manifest_json(manifest), self.json_attributes());
        let writing = async move { transfer::create(&objects, &target, json, attributes).await };
        let putting = async {
            let written = self.to_its_end(writing).await;
            written.map_err(|error| self.failed("write", &key, &error))
        };
        self.traced("put", &key, putting).await?;
        Ok(key)
    }

    /// Waits until nothing goes on of what callers have begun and abandoned.
    pub async fn settled(&self) {
        self.unfinished.close();
        self.unfinished.wait().await;
        self.unfinished.reopen();
    }

    /// Runs `work` to its end, whether or not somebody still waits for it.
    async fn to_its_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> T {
        match self.unfinished.spawn(work.in_current_span()).await {
            Ok(done) => done,
            // Nobody aborts it, so that it can only have panicked.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// What HTTP clients are told about a file. Directories have no such thing.
    pub(super) fn attributes(&self, encoding: Encoding) -> Attributes {
        let mut attributes = Attributes::new();
        if self.place.directory().is_some() {
            return attributes;
        }
        attributes.insert(Attribute::ContentType, SQLITE_MEDIA_TYPE.into());
        if let Some(name) = content_encoding(encoding) {
            attributes.insert(Attribute::ContentEncoding, name.into());
            // Google Cloud Storage unwraps gzip for clients that do not ask for it, which breaks the hash.
            attributes.insert(Attribute::CacheControl, "no-transform".into());
        }
        attributes
    }

    pub(super) fn json_attributes(&self) -> Attributes {
        let mut attributes = Attributes::new();
        if self.place.directory().is_none() {
            attributes.insert(Attribute::ContentType, "application/json".into());
        }
        attributes
    }

    pub(super) fn not_sent(&self, key: &str, error: TransferError) -> SnapshotStoreError {
        let broken = |reason: String| SnapshotStoreError::Object {
            action: "write",
            key: key.to_owned(),
            url: self.place.url.clone(),
            reason,
            transient: true,
        };
        match error {
            TransferError::Store(error) => self.failed("write", key, &error),
            TransferError::Input(error) => broken(error.to_string()),
            TransferError::Stopped => broken("it was stopped".to_owned()),
        }
    }
}

/// The name of HTTP's Content-Encoding, if there is one to name.
fn content_encoding(encoding: Encoding) -> Option<&'static str> {
    match encoding {
        Encoding::Identity => None,
        Encoding::Gzip => Some("gzip"),
        Encoding::Zstd => Some("zstd"),
    }
}

pub(super) fn manifest_json(manifest: &Manifest) -> Bytes {
    let json = serde_json::to_vec_pretty(manifest).expect("a manifest has only text keys");
    json.into()
}
