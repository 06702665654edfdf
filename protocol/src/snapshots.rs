//! Where snapshots live: a URL becomes an object store, a job becomes keys, a manifest becomes JSON.
//!
//! An object appears under its key only when all of it is there; before that, a `file:` store holds it
//! under a staging name that ends in `#` and a number. Nothing is ever overwritten: a key contains the job
//! and the attempt. The manifest is written after the files that it names, so a manifest is the sign that
//! a snapshot is whole.

use std::{
    fmt::Write as _,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{
    ObjectStore, ObjectStoreExt, buffered::BufWriter, local::LocalFileSystem, path::Path as Key,
};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    Attempt, JobId, StoreId,
    message::{Encoding, Manifest, Rendition},
};

/// How much of a file is read, hashed and sent at a time, in bytes.
const CHUNK_BYTES: usize = 1 << 20;

/// The longest escaped store id in a key. Longer ones are cut and told apart by their hash, since many file
/// systems allow only 255 bytes in a name.
const MAX_ESCAPED_CHARS: usize = 120;

/// Why the snapshot store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotStoreError {
    /// The URL is of a kind that this program does not know.
    #[error("snapshots.url {url:?} is not a place for snapshots: {reason}")]
    Url {
        /// The URL as configured.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A local directory that cannot be made or entered.
    #[error("cannot use the snapshot directory {}: {source}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// The object is not there.
    #[error("there is no object {key:?} in {url}")]
    NotFound {
        /// The object's key.
        key: String,
        /// The store's URL.
        url: String,
    },
    /// The store refused or failed.
    #[error("cannot {action} {key:?} in {url}: {source}")]
    Object {
        /// What was tried.
        action: &'static str,
        /// The object's key.
        key: String,
        /// The store's URL.
        url: String,
        /// The store's word.
        source: object_store::Error,
    },
    /// A local file could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
}

impl SnapshotStoreError {
    /// Whether another try could help: yes, unless the store said that it will never allow this.
    pub fn is_transient(&self) -> bool {
        use object_store::Error as E;
        match self {
            Self::Url { .. } | Self::NotFound { .. } | Self::Directory { .. } => false,
            Self::File { source, .. } => !matches!(
                source.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
            ),
            Self::Object { source, .. } => !matches!(
                source,
                E::PermissionDenied { .. }
                    | E::Unauthenticated { .. }
                    | E::NotSupported { .. }
                    | E::NotImplemented { .. }
            ),
        }
    }
}

/// What an upload wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The object's key.
    pub key: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of it, in hex.
    pub sha256: String,
}

impl Stored {
    /// The object as a file of a snapshot.
    pub fn rendition(self, encoding: Encoding) -> Rendition {
        Rendition {
            encoding,
            key: self.key,
            bytes: self.bytes,
            sha256: self.sha256,
        }
    }
}

/// The objects of all snapshots.
#[derive(Debug, Clone)]
pub struct SnapshotStore {
    objects: Arc<dyn ObjectStore>,
    url: String,
    directory: PathBuf,
}

impl SnapshotStore {
    /// Opens the store that `url` names: `file:DIRECTORY`, relative to the working directory or absolute.
    /// The directory is made if it is missing.
    ///
    /// # Errors
    /// [`SnapshotStoreError::Url`] for other kinds, [`SnapshotStoreError::Directory`] when it cannot be used.
    pub fn open(url: &str) -> Result<Self, SnapshotStoreError> {
        let bad = |reason: &str| SnapshotStoreError::Url {
            url: url.to_owned(),
            reason: reason.to_owned(),
        };
        let path = url
            .strip_prefix("file:")
            .ok_or_else(|| bad("it must be file:DIRECTORY"))?;
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() {
            return Err(bad("the directory is missing after file:"));
        }
        let cannot_use = |source| SnapshotStoreError::Directory {
            path: path.into(),
            source,
        };
        std::fs::create_dir_all(path).map_err(cannot_use)?;
        let directory = std::fs::canonicalize(path).map_err(cannot_use)?;
        let objects = LocalFileSystem::new_with_prefix(&directory)
            .map_err(|e| cannot_use(io::Error::other(e)))?
            .with_fsync(true);
        Ok(Self {
            objects: Arc::new(objects),
            url: url.to_owned(),
            directory,
        })
    }

    /// The URL that was opened.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The file that holds the object `key`.
    pub fn local_path(&self, key: &str) -> PathBuf {
        self.directory.join(key)
    }

    /// Stores `file` as the object `key` and hashes it. The file is gone afterwards where the store is on the
    /// same file system: then it is moved there rather than copied.
    ///
    /// # Errors
    /// [`SnapshotStoreError`]; then there is no object `key`.
    pub async fn put_file(&self, key: String, file: &Path) -> Result<Stored, SnapshotStoreError> {
        let (source, target) = (file.to_owned(), self.local_path(&key));
        let moved = tokio::task::spawn_blocking(move || move_file(&source, &target)).await;
        match moved.unwrap_or_else(|e| Err(io::Error::other(e))) {
            Ok((bytes, sha256)) => Ok(Stored { key, bytes, sha256 }),
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                self.copy_file(key, file).await
            }
            Err(source) => Err(SnapshotStoreError::File {
                action: "write",
                path: self.local_path(&key),
                source,
            }),
        }
    }

    /// Uploads `file` as the object `key`, hashing it on the way.
    async fn copy_file(&self, key: String, file: &Path) -> Result<Stored, SnapshotStoreError> {
        let unreadable = |source| SnapshotStoreError::File {
            action: "read",
            path: file.to_owned(),
            source,
        };
        let mut input = tokio::fs::File::open(file).await.map_err(unreadable)?;
        let mut output = BufWriter::new(self.objects.clone(), Key::from(key.as_str()));
        let mut hash = Sha256::new();
        let mut bytes = 0;
        let mut chunk = vec![0; CHUNK_BYTES];
        let copied: Result<(), SnapshotStoreError> = async {
            loop {
                let length = input.read(&mut chunk).await.map_err(unreadable)?;
                if length == 0 {
                    return Ok(());
                }
                hash.update(&chunk[..length]);
                bytes += length as u64;
                output
                    .write_all(&chunk[..length])
                    .await
                    .map_err(|e| self.unwritable(&key, e))?;
            }
        }
        .await;
        if let Err(error) = copied {
            // What was staged is of no use to anybody; if even this fails, the sweep removes it.
            let _ = output.abort().await;
            return Err(error);
        }
        output
            .shutdown()
            .await
            .map_err(|e| self.unwritable(&key, e))?;
        Ok(Stored {
            key,
            bytes,
            sha256: hex(&hash.finalize()),
        })
    }

    /// Writes the manifest beside the snapshot's files, and returns its key.
    ///
    /// # Errors
    /// [`SnapshotStoreError`]; then there is no manifest, and the files are unreferenced.
    pub async fn put_manifest(&self, manifest: &Manifest) -> Result<String, SnapshotStoreError> {
        let key = manifest_key(&manifest.store_id, manifest.job_id, manifest.attempt);
        let json = serde_json::to_vec_pretty(manifest).expect("a manifest has only text keys");
        let put = self
            .objects
            .put(&Key::from(key.as_str()), json.into())
            .await;
        put.map_err(|e| self.failed("write", &key, e))?;
        Ok(key)
    }

    async fn read(&self, key: &str) -> Result<bytes::Bytes, SnapshotStoreError> {
        let object = self
            .objects
            .get(&Key::from(key))
            .await
            .map_err(|e| self.failed("read", key, e))?;
        object
            .bytes()
            .await
            .map_err(|e| self.failed("read", key, e))
    }

    /// Downloads the object `key` to `file`, hashing it on the way.
    ///
    /// # Errors
    /// [`SnapshotStoreError`]; then `file` is incomplete.
    pub async fn fetch(&self, key: &str, file: &Path) -> Result<Stored, SnapshotStoreError> {
        let unwritable = |source| SnapshotStoreError::File {
            action: "write",
            path: file.to_owned(),
            source,
        };
        let object = self
            .objects
            .get(&Key::from(key))
            .await
            .map_err(|e| self.failed("read", key, e))?;
        let mut chunks = object.into_stream();
        let mut output = tokio::fs::File::create(file).await.map_err(unwritable)?;
        let mut hash = Sha256::new();
        let mut bytes = 0;
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|e| self.failed("read", key, e))?;
            hash.update(&chunk);
            bytes += chunk.len() as u64;
            output.write_all(&chunk).await.map_err(unwritable)?;
        }
        output.flush().await.map_err(unwritable)?;
        Ok(Stored {
            key: key.to_owned(),
            bytes,
            sha256: hex(&hash.finalize()),
        })
    }

    /// The keys of all objects, in no particular order.
    pub fn keys(&self) -> BoxStream<'_, Result<String, SnapshotStoreError>> {
        let objects = self.objects.list(None);
        objects
            .map_ok(|object| object.location.to_string())
            .map_err(|e| self.failed("list", "", e))
            .boxed()
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
        let directory = escape(store_id);
        let names_of_job = format!("{job_id}-");
        let path = self.local_path(&directory);
        let failed = |source| SnapshotStoreError::File {
            action: "clean up",
            path: path.clone(),
            source,
        };
        // The file system is asked rather than the object store, which does not show staging names.
        let mut entries = match tokio::fs::read_dir(&path).await {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(failed(e)),
        };
        while let Some(entry) = entries.next_entry().await.map_err(failed)? {
            if entry
                .file_name()
                .to_string_lossy()
                .starts_with(&names_of_job)
            {
                tokio::fs::remove_file(entry.path()).await.map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Writes, reads and deletes a small object.
    ///
    /// # Errors
    /// [`SnapshotStoreError`] of the first of them that fails.
    pub async fn check(&self) -> Result<(), SnapshotStoreError> {
        let name = format!("seedbed-check-{}", JobId::new());
        let key = Key::from(name.as_str());
        let written = self.objects.put(&key, "seedbed".into()).await;
        written.map_err(|e| self.failed("write", &name, e))?;
        self.read(&name).await?;
        self.objects
            .delete(&key)
            .await
            .map_err(|e| self.failed("delete", &name, e))
    }

    fn unwritable(&self, key: &str, error: io::Error) -> SnapshotStoreError {
        let source = error.downcast::<object_store::Error>().unwrap_or_else(|e| {
            object_store::Error::Generic {
                store: "upload",
                source: Box::new(e),
            }
        });
        self.failed("write", key, source)
    }

    fn failed(
        &self,
        action: &'static str,
        key: &str,
        source: object_store::Error,
    ) -> SnapshotStoreError {
        let (key, url) = (key.to_owned(), self.url.clone());
        match source {
            object_store::Error::NotFound { .. } => SnapshotStoreError::NotFound { key, url },
            source => SnapshotStoreError::Object {
                action,
                key,
                url,
                source,
            },
        }
    }
}

/// Moves a file to where nobody sees half of it, its bytes safe on disk first. Returns its size and hash.
fn move_file(source: &Path, target: &Path) -> io::Result<(u64, String)> {
    let mut file = std::fs::File::open(source)?;
    let mut hash = Sha256::new();
    let bytes = io::copy(&mut file, &mut hash)?;
    file.sync_all()?;
    let directory = target.parent().unwrap_or(Path::new("."));
    if !directory.exists() {
        std::fs::create_dir_all(directory)?;
        sync_directory(directory.parent().unwrap_or(Path::new(".")))?;
    }
    std::fs::rename(source, target)?;
    sync_directory(directory)?;
    Ok((bytes, hex(&hash.finalize())))
}

/// Makes new names in a directory survive a power loss.
fn sync_directory(directory: &Path) -> io::Result<()> {
    std::fs::File::open(directory)?.sync_all()
}

/// The key of one file of a snapshot: `<escaped store id>/<job>-<attempt>.sqlite`, with `.gz` or `.zst` when
/// it is compressed. No other attempt can write to it.
pub fn object_key(
    store_id: &StoreId,
    job_id: JobId,
    attempt: Attempt,
    encoding: Encoding,
) -> String {
    let extension = match encoding {
        Encoding::Identity => "sqlite",
        Encoding::Gzip => "sqlite.gz",
        Encoding::Zstd => "sqlite.zst",
    };
    format!("{}/{job_id}-{attempt}.{extension}", escape(store_id))
}

/// The key of a snapshot's manifest: `<escaped store id>/<job>-<attempt>.json`.
pub fn manifest_key(store_id: &StoreId, job_id: JobId, attempt: Attempt) -> String {
    format!("{}/{job_id}-{attempt}.json", escape(store_id))
}

/// The keys of all objects of a snapshot, its manifest first.
pub fn keys_of(manifest: &Manifest) -> Vec<String> {
    let own = manifest_key(&manifest.store_id, manifest.job_id, manifest.attempt);
    let files = manifest.renditions.iter().map(|r| r.key.clone());
    std::iter::once(own).chain(files).collect()
}

/// A store id as one segment of a key that no object store, file system or URL treats specially: lowercase
/// letters, digits and `-` stay, every other byte becomes `_` and two hex digits. Uppercase letters do not
/// stay because some file systems do not tell them from lowercase ones.
fn escape(store_id: &StoreId) -> String {
    let mut escaped = String::new();
    for byte in store_id.as_str().bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' => escaped.push(byte.into()),
            other => {
                let _ = write!(escaped, "_{other:02x}");
            }
        }
    }
    if escaped.len() > MAX_ESCAPED_CHARS {
        let hash = hex(&Sha256::digest(store_id.as_str()));
        escaped.truncate(MAX_ESCAPED_CHARS - 1 - hash.len());
        escaped.push('_');
        escaped.push_str(&hash);
    }
    escaped
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_of(id: &str) -> String {
        escape(&StoreId::new(id).unwrap())
    }

    #[test]
    fn keys_stay_readable_and_never_collide() {
        assert_eq!(key_of("store-7"), "store-7");
        assert_eq!(key_of("a_b"), "a_5fb");
        assert_eq!(key_of("Ab"), "_41b");
        assert_eq!(key_of("a b.ü"), "a_20b_2e_c3_bc");
        assert_ne!(key_of("a b"), key_of("a_20b"));
    }

    #[test]
    fn keys_of_long_ids_fit_into_a_file_name() {
        let long = "😀".repeat(60);
        let longer = format!("{long}😀");
        assert!(key_of(&long).len() <= MAX_ESCAPED_CHARS);
        assert_ne!(key_of(&long), key_of(&longer));
    }

    #[tokio::test]
    async fn a_file_comes_back_as_it_was_stored() {
        let directory = tempfile::tempdir().unwrap();
        let store =
            SnapshotStore::open(&format!("file:{}", directory.path().join("new").display()))
                .unwrap();
        let source = directory.path().join("source");
        // Larger than the buffer above which an upload goes in parts.
        let content: Vec<u8> = (0..12 * CHUNK_BYTES + 7).map(|i| (i % 251) as u8).collect();
        std::fs::write(&source, &content).unwrap();
        let stored = store
            .put_file("7/x.sqlite".to_owned(), &source)
            .await
            .unwrap();
        assert_eq!(stored.bytes, content.len() as u64);
        assert_eq!(stored.sha256, hex(&Sha256::digest(&content)));

        let copy = directory.path().join("copy");
        assert_eq!(store.fetch("7/x.sqlite", &copy).await.unwrap(), stored);
        assert!(std::fs::read(copy).unwrap() == content);
        assert_eq!(
            store.keys().try_collect::<Vec<_>>().await.unwrap(),
            ["7/x.sqlite"]
        );
        store.check().await.unwrap();
    }

    #[tokio::test]
    async fn deleting_a_job_spares_the_other_jobs_of_its_store() {
        let directory = tempfile::tempdir().unwrap();
        let store = SnapshotStore::open(&format!("file:{}", directory.path().display())).unwrap();
        let id = StoreId::new("7").unwrap();
        let (gone, kept) = (JobId::new(), JobId::new());
        let source = directory.path().join("7");
        std::fs::create_dir(&source).unwrap();
        for name in [
            format!("{gone}-1.sqlite"),
            format!("{gone}-1.sqlite#1"),
            format!("{kept}-1.sqlite"),
        ] {
            std::fs::write(source.join(name), "x").unwrap();
        }
        store.delete_job(&id, gone).await.unwrap();
        let left: Vec<_> = store.keys().try_collect().await.unwrap();
        assert_eq!(
            left,
            [object_key(&id, kept, Attempt::FIRST, Encoding::Identity)]
        );
    }

    #[test]
    fn other_urls_are_refused_by_name() {
        let error = SnapshotStore::open("ftp://x").unwrap_err().to_string();
        assert!(
            error.contains("ftp://x") && error.contains("snapshots.url"),
            "{error}"
        );
        assert!(
            SnapshotStore::open("file:")
                .unwrap_err()
                .to_string()
                .contains("missing")
        );
    }
}
