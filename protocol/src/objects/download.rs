//! Downloads objects to files, in constant memory, hashing them on the way.

use std::{fs::File, io, io::Write, path::Path, sync::mpsc as blocking, thread};

use bytes::Bytes;
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use object_store::{GetResultPayload, ObjectStoreExt, path::Path as Key};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::io::ReaderStream;

use super::{compression::unwrap_to, error::StorageError, storage::ObjectStorage};
use crate::{
    digest::{Hashed, Hasher},
    manifest::Encoding,
};

/// How much of a local object is read at a time, in bytes.
const FILE_CHUNK_BYTES: usize = 1024 * 1024;

/// How much of an object is asked for at a time where a client takes it at its own pace, in bytes.
const PIECE_BYTES: u64 = 256 * 1024;

impl ObjectStorage {
    /// Returns the object `key` of so many bytes, in order. Each piece is asked for when the one before it was taken: a
    /// reader, however slow, costs the memory of one piece and no connection to the storage.
    ///
    /// A piece is a [`StorageError`] when it cannot be read; nothing follows it.
    pub fn pieces(&self, key: &str, bytes: u64) -> BoxStream<'static, Result<Bytes, StorageError>> {
        let (storage, name) = (self.clone(), key.to_owned());
        let pieces = stream::try_unfold(0, move |start| {
            let (storage, name) = (storage.clone(), name.clone());
            async move {
                let end = bytes.min(start + PIECE_BYTES);
                if start == end {
                    return Ok(None);
                }
                let key = Key::from(name.as_str());
                let piece = storage.objects.get_range(&key, start..end).await;
                let piece = piece.map_err(|e| storage.place.failed("read", &name, &e))?;
                if piece.len() as u64 != end - start {
                    return Err(StorageError::Altered {
                        url: storage.url().to_owned(),
                        key: name,
                        bytes,
                    });
                }
                Ok(Some((piece, end)))
            }
        });
        pieces.boxed()
    }

    /// Downloads the object `key` to `file` as it is stored.
    ///
    /// # Errors
    /// [`StorageError`]; then `file` is incomplete.
    pub async fn fetch(&self, key: &str, file: &Path) -> Result<Hashed, StorageError> {
        let unwritable = |source| StorageError::File {
            action: "write",
            path: file.to_owned(),
            source,
        };
        let mut chunks = self.chunks(key).await?;
        let output = File::create(file).map_err(unwritable)?;
        let writer = HashingWriter::start(output);
        while let Some(chunk) = chunks.next().await {
            if !writer.write(chunk?).await {
                break;
            }
        }
        writer.finish().await.map_err(unwritable)
    }

    /// Downloads the file that the object `key` holds in this encoding to `file`, and checks that the object is what
    /// was uploaded.
    ///
    /// # Errors
    /// [`StorageError`]; [`StorageError::Altered`] if the object is not `uploaded`.
    pub async fn fetch_unwrapped(
        &self,
        key: &str,
        encoding: Encoding,
        uploaded: &Hashed,
        file: &Path,
    ) -> Result<(), StorageError> {
        let object = match encoding.is_compressed() {
            false => file.to_owned(),
            true => file.with_extension("object"),
        };
        let fetched = self.traced("get", key, self.fetch(key, &object)).await?;
        if fetched != *uploaded {
            return Err(StorageError::Altered {
                key: key.to_owned(),
                url: self.url().to_owned(),
                bytes: uploaded.bytes,
            });
        }
        if encoding.is_compressed() {
            let unwrapped = unwrap_to(encoding, &object, file).await;
            unwrapped.map_err(|source| StorageError::File {
                action: "unwrap",
                path: object,
                source,
            })?;
        }
        Ok(())
    }

    /// Returns the content of the object `key`, in order.
    async fn chunks(
        &self,
        key: &str,
    ) -> Result<BoxStream<'_, Result<Bytes, StorageError>>, StorageError> {
        let object = self.objects.get(&Key::from(key)).await;
        let object = object.map_err(|e| self.place.failed("read", key, &e))?;
        let key = key.to_owned();
        // The client would yield a file in very small pieces.
        if let GetResultPayload::File(file, _) = object.payload {
            let file = tokio::fs::File::from_std(file);
            let chunks = ReaderStream::with_capacity(file, FILE_CHUNK_BYTES);
            let unreadable = move |error: io::Error| {
                let (store, source) = ("LocalFileSystem", Box::new(error));
                let error = object_store::Error::Generic { store, source };
                self.place.failed("read", &key, &error)
            };
            return Ok(chunks.map_err(unreadable).boxed());
        }
        let chunks = object.into_stream();
        Ok(chunks
            .map_err(move |e| self.place.failed("read", &key, &e))
            .boxed())
    }
}

/// Chunks that may wait for the thread that writes, or for the one that hashes.
const WAITING_CHUNKS: usize = 8;

/// Writes a file and hashes what is written, at the same time and on threads that may block.
struct HashingWriter {
    chunks: mpsc::Sender<Bytes>,
    written: JoinHandle<io::Result<Hashed>>,
}

impl HashingWriter {
    fn start(file: File) -> Self {
        let (chunks, received) = mpsc::channel(WAITING_CHUNKS);
        Self {
            chunks,
            written: tokio::task::spawn_blocking(|| write(file, received)),
        }
    }

    /// Appends `chunk` as soon as there is room for it; false when writing has failed, and [`Self::finish`] says why.
    async fn write(&self, chunk: Bytes) -> bool {
        self.chunks.send(chunk).await.is_ok()
    }

    /// Returns the digest of what was written, or why it could not be.
    async fn finish(self) -> io::Result<Hashed> {
        drop(self.chunks);
        self.written.await.map_err(io::Error::other)?
    }
}

fn write(mut file: File, mut chunks: mpsc::Receiver<Bytes>) -> io::Result<Hashed> {
    let (to_hash, hashed) = blocking::sync_channel::<Bytes>(WAITING_CHUNKS);
    thread::scope(|threads| {
        let hashing = threads.spawn(move || {
            let mut hasher = Hasher::default();
            for chunk in hashed {
                hasher.update(&chunk);
            }
            hasher.finish()
        });
        while let Some(chunk) = chunks.blocking_recv() {
            file.write_all(&chunk)?;
            // It takes chunks until there are no more.
            let _ = to_hash.send(chunk);
        }
        drop(to_hash);
        hashing
            .join()
            .map_err(|_| io::Error::other("hashing panicked"))
    })
}
