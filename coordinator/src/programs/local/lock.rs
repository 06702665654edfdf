//! Locks a directory of data, so that one process at a time works on it.

use std::{
    fs::{File, TryLockError},
    io,
    path::PathBuf,
};

use crate::catalog;

/// Why this process may not work on the data.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process works on the same data.
    #[error(
        "another `seedbed local` is working on the catalog {}; wait for it to end, or set catalog.url \
         to another file", path.display()
    )]
    Locked { path: PathBuf },
    /// The lock file cannot be used.
    #[error("cannot lock {}: {source}", path.display())]
    Unusable { path: PathBuf, source: io::Error },
}

/// Takes the lock. It lasts as long as the file is open, and ends with the process however that ends.
pub(super) fn lock(catalog_url: &str) -> Result<File, LockError> {
    let catalog = catalog::file_of(catalog_url);
    let mut path = catalog.clone().into_os_string();
    path.push(".lock");
    let path = PathBuf::from(path);
    let failed = |source| LockError::Unusable {
        path: path.clone(),
        source,
    };
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(failed)?;
    }
    let file = File::options()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LockError::Locked { path: catalog }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}
