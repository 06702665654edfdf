//! Makes the synced database a file that any client can start from.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::database::DatabaseError;

/// SQLite's page cache while it copies, in KiB; its default.
const VACUUM_CACHE_KIB: i64 = 2000;

/// Why there is no clean file.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// SQLite refused.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// Local changes, which a seed never makes.
    #[error(
        "ps_crud holds {0} local changes; a seed makes none: is a trigger of schema.file writing?"
    )]
    LocalChanges(u64),
    /// Not enough space beside the database.
    #[error("VACUUM INTO needs {needed} bytes in {}, and {available} are free: free {} more", path.display(), needed - available)]
    NoSpace {
        /// The directory.
        path: PathBuf,
        /// Bytes that the file may take.
        needed: u64,
        /// Bytes that there are.
        available: u64,
    },
    /// The free space is unknown.
    #[error("cannot read the free space of {}: {source}", path.display())]
    Space {
        /// The directory.
        path: PathBuf,
        /// The system's word.
        source: std::io::Error,
    },
}

impl From<rusqlite::Error> for SnapshotError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Removes what identifies this client: two installations with one `client_id` would confuse the service.
/// `client_id` is the only such key that the core extension and the SDKs keep in `ps_kv`.
///
/// # Errors
/// [`SnapshotError::LocalChanges`] when there is something to upload, which another client would repeat.
pub fn scrub(connection: &Connection) -> Result<(), SnapshotError> {
    let local: u64 = connection.query_row("SELECT count(*) FROM ps_crud", [], |row| row.get(0))?;
    if local > 0 {
        return Err(SnapshotError::LocalChanges(local));
    }
    connection.execute("DELETE FROM ps_kv WHERE key = 'client_id'", [])?;
    Ok(())
}

/// Writes a compact copy to `target`, in SQLite's default journal mode.
///
/// # Errors
/// [`SnapshotError::NoSpace`] before anything is written when the disk has no room for it.
pub fn vacuum_into(connection: &Connection, target: &Path) -> Result<(), SnapshotError> {
    let directory = target.parent().unwrap_or(Path::new("."));
    let needed = used_bytes(connection)?;
    let available = fs4::available_space(directory).map_err(|source| SnapshotError::Space {
        path: directory.to_owned(),
        source,
    })?;
    if available < needed {
        return Err(SnapshotError::NoSpace {
            path: directory.to_owned(),
            needed,
            available,
        });
    }
    // Both files are gone through once and in order: a large cache would only hold memory.
    connection.pragma_update(None, "cache_size", -VACUUM_CACHE_KIB)?;
    connection.execute("VACUUM INTO ?1", [target.to_string_lossy()])?;
    Ok(())
}

/// The size of the pages in use, which the copy does not exceed.
fn used_bytes(connection: &Connection) -> Result<u64, SnapshotError> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, u64>(0));
    Ok((pragma("page_count")? - pragma("freelist_count")?) * pragma("page_size")?)
}
