//! What an object holds: read where it is, or from copies that are unpacked and opened.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use seedbed_protocol::{
    digest::Hashed,
    manifest::{Manifest, Rendition},
    objects::unwrap_to,
    snapshots::SnapshotRepository,
};
use seedbed_worker::snapshot::sealed::open_copy;
use tempfile::TempDir;

use super::error::VerifyError;

/// What an object holds, as it was uploaded.
pub(super) struct Unpacked {
    pub(super) path: PathBuf,
    /// Where the object is.
    pub(super) location: String,
    /// Room for copies, which are removed when this is dropped.
    pub(super) copies: TempDir,
}

impl Unpacked {
    /// Reads the object where it is, if it is in a directory, since a copy could be larger than what is free elsewhere;
    /// otherwise, and when it is compressed or sealed, makes copies in the directory for temporary files.
    pub(super) async fn of(
        manifest: &Manifest,
        rendition: &Rendition,
        snapshots: &SnapshotRepository,
    ) -> Result<Self, VerifyError> {
        let location = snapshots.location(&rendition.key);
        let copies = tempfile::tempdir().map_err(|source| VerifyError::Copy {
            file: location.clone(),
            source,
        })?;
        let uploaded = Hashed {
            bytes: rendition.bytes,
            sha256: rendition.sha256.clone(),
        };
        let path = match snapshots.local_path(&rendition.key) {
            Some(path) => {
                check_unchanged(&uploaded, &location, hash(&path, &location).await?)?;
                path
            }
            None => {
                let copy = copies.path().join("object");
                let fetched = snapshots.fetch(&rendition.key, &copy).await?;
                check_unchanged(&uploaded, &location, fetched)?;
                copy
            }
        };
        let mut unpacked = Self {
            path,
            location,
            copies,
        };
        if rendition.kind().is_sealed() {
            unpacked.open(manifest, rendition, snapshots).await?;
        } else if rendition.encoding.is_compressed() {
            let file = unpacked.copies.path().join("unpacked");
            let unwrapped = unwrap_to(rendition.encoding, &unpacked.path, &file).await;
            unwrapped.map_err(|source| unpacked.not_copied(source))?;
            if let Some(content) = &rendition.unpacked {
                let location = format!("{}, unpacked,", unpacked.location);
                check_unchanged(content, &location, hash(&file, &location).await?)?;
            }
            unpacked.path = file;
        }
        Ok(unpacked)
    }

    /// Opens a sealed object, in a copy.
    async fn open(
        &mut self,
        manifest: &Manifest,
        rendition: &Rendition,
        snapshots: &SnapshotRepository,
    ) -> Result<(), VerifyError> {
        let key = snapshots.key_of(manifest.all_renditions()).await;
        let key = key.map_err(|source| VerifyError::Key {
            file: self.location.clone(),
            source,
        })?;
        let (sealed, file) = (self.path.clone(), self.copies.path().join("opened"));
        let (encoding, target) = (rendition.encoding, file.clone());
        let opened = blocking(&self.location, move || {
            open_copy(encoding, &key, &sealed, &target)
        });
        opened.await?.map_err(|source| VerifyError::Sealed {
            file: self.location.clone(),
            source,
        })?;
        self.path = file;
        Ok(())
    }

    fn not_copied(&self, source: io::Error) -> VerifyError {
        VerifyError::Copy {
            file: self.location.clone(),
            source,
        }
    }
}

async fn hash(file: &Path, location: &str) -> Result<Hashed, VerifyError> {
    let path = file.to_owned();
    let hashed = blocking(location, move || Hashed::of(File::open(path)?));
    hashed.await?.map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => VerifyError::Gone {
            file: location.to_owned(),
        },
        _ => VerifyError::Unreadable {
            file: location.to_owned(),
            source,
        },
    })
}

fn check_unchanged(expected: &Hashed, location: &str, found: Hashed) -> Result<(), VerifyError> {
    let describe =
        |Hashed { bytes, sha256 }: &Hashed| format!("{bytes} bytes and the SHA-256 {sha256}");
    if found != *expected {
        return Err(VerifyError::Changed {
            file: location.to_owned(),
            found: describe(&found),
            expected: describe(expected),
        });
    }
    Ok(())
}

/// Runs what blocks for long.
pub(super) async fn blocking<T: Send + 'static>(
    location: &str,
    check: impl FnOnce() -> T + Send + 'static,
) -> Result<T, VerifyError> {
    let ended = tokio::task::spawn_blocking(check).await;
    ended.map_err(|error| VerifyError::Ended {
        file: location.to_owned(),
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_is_not_what_was_uploaded_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("snapshot.sqlite");
        std::fs::write(&file, "abc").unwrap();
        let mut uploaded = Hashed {
            bytes: 3,
            sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".to_owned(),
        };
        let found = hash(&file, "snapshot.sqlite").await.unwrap();
        check_unchanged(&uploaded, "snapshot.sqlite", found.clone()).unwrap();
        uploaded.bytes = 4;
        let error = check_unchanged(&uploaded, "snapshot.sqlite", found).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("snapshot.sqlite has 3 bytes") && error.contains("says 4 bytes"),
            "{error}"
        );
        std::fs::remove_file(&file).unwrap();
        let error = hash(&file, "snapshot.sqlite").await.unwrap_err();
        assert!(error.is_bad(), "{error}");
        assert!(error.to_string().contains("is gone"), "{error}");
    }
}
