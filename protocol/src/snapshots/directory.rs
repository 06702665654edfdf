//! What a store that is a directory does better than by copying.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{SnapshotStore, SnapshotStoreError};
use crate::digest::Hashed;

impl SnapshotStore {
    /// Moves `file` to `target` and hashes it; `None` if they are on different file systems.
    pub(super) async fn try_move(
        &self,
        file: &Path,
        target: PathBuf,
    ) -> Result<Option<Hashed>, SnapshotStoreError> {
        let (source, to) = (file.to_owned(), target.clone());
        // Tracked, since a file cannot be moved by halves: this goes on when nobody waits for it.
        let moved = self
            .unfinished
            .spawn_blocking(move || move_file(&source, &to))
            .await;
        match moved.unwrap_or_else(|e| Err(io::Error::other(e))) {
            Ok(sent) => Ok(Some(sent)),
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => Ok(None),
            Err(source) => Err(SnapshotStoreError::File {
                action: "write",
                path: target,
                source,
            }),
        }
    }
}

/// Moves a file to where nobody sees half of it, its bytes safe on disk first.
fn move_file(source: &Path, target: &Path) -> io::Result<Hashed> {
    let mut file = std::fs::File::open(source)?;
    let hashed = Hashed::of(&mut file)?;
    file.sync_all()?;
    let directory = target.parent().unwrap_or(Path::new("."));
    if !directory.exists() {
        std::fs::create_dir_all(directory)?;
        sync_directory(directory.parent().unwrap_or(Path::new(".")))?;
    }
    std::fs::rename(source, target)?;
    sync_directory(directory)?;
    Ok(hashed)
}

/// Makes new names in a directory survive a power loss.
fn sync_directory(directory: &Path) -> io::Result<()> {
    std::fs::File::open(directory)?.sync_all()
}

/// Removes the files in `directory` whose names begin with `start`. The file system is asked rather than the
/// object store, which does not show staging names.
pub(super) async fn remove_files(directory: &Path, start: &str) -> Result<(), SnapshotStoreError> {
    let failed = |source| SnapshotStoreError::File {
        action: "clean up",
        path: directory.to_owned(),
        source,
    };
    let mut entries = match tokio::fs::read_dir(directory).await {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(failed(e)),
    };
    while let Some(entry) = entries.next_entry().await.map_err(failed)? {
        if entry.file_name().to_string_lossy().starts_with(start) {
            tokio::fs::remove_file(entry.path()).await.map_err(failed)?;
        }
    }
    Ok(())
}
