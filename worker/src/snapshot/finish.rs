//! Makes the synced database a file that any client can start from.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::oplog::log::DatabaseError;

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
    /// The synced file cannot become the snapshot.
    #[error("cannot rename {} to {}: {source}", from.display(), to.display())]
    Rename {
        /// The synced file.
        from: PathBuf,
        /// The snapshot.
        to: PathBuf,
        /// The system's word.
        source: std::io::Error,
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

/// Where the JavaScript SDKs (Node.js, web, React Native) record in `ps_kv` that `ps_oplog.key` has the format
/// that the core extension writes. Without it they rewrite every key when they first connect, with
/// `powersync_remove_duplicate_key_encoding`, which makes NULL of a key that is right already; the client would
/// then never find the row that a later REMOVE is about, and keep it for ever.
/// (`SqliteBucketStorage.migrateToFixedSubkeys`, @powersync/shared-internals 1.3.0.)
pub(crate) const KEY_FORMAT_MARKER: &str = "powersync_js_migrated_subkeys";

/// Removes what identifies this client: two installations with one `client_id` would confuse the service.
/// `client_id` is the only such key that the core extension and the SDKs keep in `ps_kv`. Also leaves the
/// [`KEY_FORMAT_MARKER`] for the SDKs that look for it.
///
/// # Errors
/// [`SnapshotError::LocalChanges`] when there is something to upload, which another client would repeat.
pub fn scrub(connection: &Connection) -> Result<(), SnapshotError> {
    let local: u64 = connection.query_row("SELECT count(*) FROM ps_crud", [], |row| row.get(0))?;
    if local > 0 {
        return Err(SnapshotError::LocalChanges(local));
    }
    // The file itself may become the snapshot: nothing of it may stay in a page.
    connection.pragma_update(None, "secure_delete", "on")?;
    connection.execute("DELETE FROM ps_kv WHERE key = 'client_id'", [])?;
    connection.execute(
        "INSERT OR REPLACE INTO ps_kv (key, value) VALUES (?1, '1')",
        [KEY_FORMAT_MARKER],
    )?;
    Ok(())
}

/// Of a compact file's pages, at most one in so many may be unused.
const FEW_UNUSED: u64 = 50;

/// Makes `target` of a scrubbed database: a compact copy, or the file itself if it is as compact already
/// (`compact`: written in order, nothing deleted). The database is gone then.
///
/// # Errors
/// [`SnapshotError::NoSpace`] before anything is written when the disk has no room for a copy.
pub fn write(connection: Connection, compact: bool, target: &Path) -> Result<(), SnapshotError> {
    let pages = |name| connection.pragma_query_value(None, name, |row| row.get::<_, u64>(0));
    let few_unused = pages("freelist_count")? * FEW_UNUSED <= pages("page_count")?;
    match connection.path().map(PathBuf::from) {
        Some(from) if compact && few_unused => {
            connection.close().map_err(|(_, error)| error)?;
            std::fs::rename(&from, target).map_err(|source| SnapshotError::Rename {
                from,
                to: target.to_owned(),
                source,
            })
        }
        _ => vacuum_into(&connection, target),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oplog::log as database;

    #[test]
    fn the_rewrite_that_the_marker_prevents_would_destroy_a_good_key() {
        let connection = database::open_in_memory().unwrap();
        let rewrite = "SELECT powersync_remove_duplicate_key_encoding('products/1/a/b')";
        let rewritten: Option<String> =
            connection.query_row(rewrite, [], |row| row.get(0)).unwrap();
        assert_eq!(rewritten, None);
    }

    #[test]
    fn a_scrubbed_database_knows_no_client_and_has_the_marker() {
        let connection = database::open_in_memory().unwrap();
        database::initialize(&connection).unwrap();
        scrub(&connection).unwrap();
        let keys = "SELECT group_concat(key) FROM ps_kv";
        let keys: String = connection.query_row(keys, [], |row| row.get(0)).unwrap();
        assert_eq!(keys, KEY_FORMAT_MARKER);

        connection
            .execute("INSERT INTO ps_crud (data) VALUES ('{}')", [])
            .unwrap();
        assert!(
            scrub(&connection)
                .unwrap_err()
                .to_string()
                .contains("ps_crud holds 1")
        );
    }

    #[test]
    fn a_compact_file_becomes_the_snapshot_without_a_trace_of_the_client() {
        let directory = tempfile::tempdir().unwrap();
        let (synced, target) = (
            directory.path().join("sync.sqlite"),
            directory.path().join("snapshot.sqlite"),
        );
        for compact in [true, false] {
            let connection = database::open(&synced).unwrap();
            database::initialize(&connection).unwrap();
            connection.execute_batch("VACUUM").unwrap();
            let client = "SELECT value FROM ps_kv WHERE key = 'client_id'";
            let client: String = connection.query_row(client, [], |row| row.get(0)).unwrap();
            let holds_client = |file: &Path| {
                let bytes = std::fs::read(file).unwrap();
                bytes
                    .windows(client.len())
                    .any(|part| part == client.as_bytes())
            };
            assert!(holds_client(&synced));
            scrub(&connection).unwrap();
            write(connection, compact, &target).unwrap();
            assert_eq!(synced.exists(), !compact);
            assert!(!holds_client(&target));
            std::fs::remove_file(&target).unwrap();
        }
    }
}
