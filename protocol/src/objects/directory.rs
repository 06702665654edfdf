//! For a directory only: moves a file in instead of copying it, and removes files by the start of their names.

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
