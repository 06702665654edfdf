//! For a directory only: moves a file in instead of copying it, knows names of one file, and removes files by the start of their names.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::error::StorageError;
use crate::digest::Hashed;

/// Moves a file to where no one sees half of it, its bytes safe on disk first, and hashes it, unless it is `known` what it
/// is. Blocks.
pub(super) fn move_file(source: &Path, target: &Path, known: Option<Hashed>) -> io::Result<Hashed> {
    let mut file = std::fs::File::open(source)?;
    let hashed = match known {
        Some(known) => known,
        None => Hashed::of(&mut file)?,
    };
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

/// Returns whether both are names of one file. Blocks for a moment.
pub(super) fn are_one_file(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let [one, other] = [one, other].map(|path| std::fs::metadata(path).ok());
    let identity = |of: std::fs::Metadata| (of.dev(), of.ino());
    one.map(identity)
        .is_some_and(|one| other.map(identity) == Some(one))
}

/// Makes new names in a directory survive a power loss.
fn sync_directory(directory: &Path) -> io::Result<()> {
    std::fs::File::open(directory)?.sync_all()
}

/// Removes the files in `directory` whose names begin with `start`. The file system is asked rather than the client of
/// object storage, which does not list staging names.
pub(super) async fn remove_files(directory: PathBuf, start: &str) -> Result<(), StorageError> {
    let failed = |source| StorageError::File {
        action: "clean up",
        path: directory.clone(),
        source,
    };
    let mut entries = match tokio::fs::read_dir(&directory).await {
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
