//! Finishes a synced database: removes the client's identity, and makes a dense file that any client can start from.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::before::{BasePages, Before};
use crate::oplog::DatabaseError;

/// SQLite's page cache during `VACUUM INTO`, in KiB; SQLite's default.
const VACUUM_CACHE_KIB: i64 = 2000;

/// Why a synced database did not become a clean file.
#[derive(Debug, thiserror::Error)]
pub enum FinishError {
    /// An error of SQLite.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The database holds local changes, which a seed never makes.
    #[error(
        "ps_crud holds {0} local changes; a seed makes none: is a trigger of schema.file writing?"
    )]
    LocalChanges(u64),
    /// The disk has no room for a copy.
    #[error("VACUUM INTO needs {needed} bytes in {}, and {available} are free: free {} more", path.display(), needed - available)]
    NoSpace {
        path: PathBuf,
        /// The largest size of the copy, in bytes.
        needed: u64,
        /// The free space, in bytes.
        available: u64,
    },
    /// The synced file cannot become the snapshot.
    #[error("cannot rename {} to {}: {source}", from.display(), to.display())]
    Rename {
        from: PathBuf,
        to: PathBuf,
        source: std::io::Error,
    },
    /// What the file was before cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Before {
        path: PathBuf,
        source: std::io::Error,
    },
    /// The free space is unknown.
    #[error("cannot read the free space of {}: {source}", path.display())]
    Space {
        path: PathBuf,
        source: std::io::Error,
    },
}

impl FinishError {
    /// Returns whether another attempt could help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Database(error) => error.is_transient(),
            Self::NoSpace { .. }
            | Self::Space { .. }
            | Self::Rename { .. }
            | Self::Before { .. } => true,
            Self::LocalChanges(_) => false,
        }
    }

    /// Returns the error's kind as one short word, for `error.type`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Database(_) => "sqlite",
            Self::NoSpace { .. } | Self::Space { .. } => "no_space",
            Self::LocalChanges(_) => "local_changes",
            Self::Rename { .. } | Self::Before { .. } => "file",
        }
    }

    /// Returns the step that failed.
    pub fn step(&self) -> &'static str {
        match self {
            Self::LocalChanges(_) => "scrub",
            _ => "vacuum",
        }
    }
}

impl From<rusqlite::Error> for FinishError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error.into())
    }
}

/// The key in `ps_kv` under which the JavaScript SDKs (Node.js, web, React Native) record that `ps_oplog.key` has the
/// format that the core extension writes. Without it they rewrite every key when they first connect, with
/// `powersync_remove_duplicate_key_encoding`, which turns a key that is right already into NULL. The client would
/// then never find the row of a later REMOVE, and keep it for ever. (`SqliteBucketStorage.migrateToFixedSubkeys`,
/// @powersync/shared-internals 1.3.0.)
pub(super) const KEY_FORMAT_MARKER: &str = "powersync_js_migrated_subkeys";

/// Removes the `client_id`, since two installations with the same one would confuse the service. It is the only such
/// key that the core extension and the SDKs keep in `ps_kv`. Also sets `powersync_js_migrated_subkeys` for the SDKs
/// that look for it.
///
/// # Errors
/// [`FinishError::LocalChanges`] when there are changes to upload: every client would upload them again.
pub fn scrub(connection: &Connection) -> Result<(), FinishError> {
    let local: u64 = connection.query_row("SELECT count(*) FROM ps_crud", [], |row| row.get(0))?;
    if local > 0 {
        return Err(FinishError::LocalChanges(local));
    }
    // The file itself may become the snapshot, so nothing of the id may stay in a page.
    connection.pragma_update(None, "secure_delete", "on")?;
    connection.execute("DELETE FROM ps_kv WHERE key = 'client_id'", [])?;
    connection.execute(
        "INSERT OR REPLACE INTO ps_kv (key, value) VALUES (?1, '1')",
        [KEY_FORMAT_MARKER],
    )?;
    Ok(())
}

/// A dense file is copied all the same if more than one in so many of its pages are unused.
const COPY_ABOVE_ONE_UNUSED_IN: u64 = 50;

/// A file that was resumed is rewritten in order when more than one in so many of its operations were applied since the
/// last time.
const VACUUM_ABOVE_ONE_IN: u64 = 50;

/// Returns whether a file with so many `operations` may stay as it is when so many of them were applied since it was last written
/// in order.
pub fn is_in_order(loose_operations: u64, operations: u64) -> bool {
    loose_operations * VACUUM_ABOVE_ONE_IN <= operations
}

/// Turns a scrubbed database into the file `target`: renames it if it is `dense` (written in order, nothing deleted),
/// else writes a dense copy. Closes the database. With the pages of the base that it was, of which SQLite has the changes
/// in a log, returns what it was before, if few of them have changed.
///
/// # Errors
/// [`FinishError::NoSpace`] before anything is written when the disk has no room for a copy.
pub fn write(
    connection: Connection,
    dense: bool,
    base: Option<BasePages>,
    target: &Path,
) -> Result<Option<Before>, FinishError> {
    let pages = |name| connection.pragma_query_value(None, name, |row| row.get::<_, u64>(0));
    let few_unused = pages("freelist_count")? * COPY_ABOVE_ONE_UNUSED_IN <= pages("page_count")?;
    match connection.path().map(PathBuf::from) {
        Some(from) if dense && few_unused => {
            let mut before = None;
            if let Some(base) = base {
                before = base.before(&from).map_err(|source| FinishError::Before {
                    path: from.clone(),
                    source,
                })?;
                // Moves what is in the log to the file.
                connection.pragma_update(None, "journal_mode", "delete")?;
            }
            connection.close().map_err(|(_, error)| error)?;
            std::fs::rename(&from, target).map_err(|source| FinishError::Rename {
                from,
                to: target.to_owned(),
                source,
            })?;
            Ok(before)
        }
        _ => vacuum_into(&connection, target).map(|()| None),
    }
}

/// Writes a dense copy to `target`, in SQLite's default journal mode.
///
/// # Errors
/// [`FinishError::NoSpace`] before anything is written when the disk has no room for the copy.
pub fn vacuum_into(connection: &Connection, target: &Path) -> Result<(), FinishError> {
    let directory = target.parent().unwrap_or(Path::new("."));
    let needed = used_bytes(connection)?;
    let available = fs4::available_space(directory).map_err(|source| FinishError::Space {
        path: directory.to_owned(),
        source,
    })?;
    if available < needed {
        return Err(FinishError::NoSpace {
            path: directory.to_owned(),
            needed,
            available,
        });
    }
    // Both files are read or written once and in order: a large cache would only take memory.
    connection.pragma_update(None, "cache_size", -VACUUM_CACHE_KIB)?;
    connection.execute("VACUUM INTO ?1", [target.to_string_lossy()])?;
    Ok(())
}

/// Returns the size of the pages in use, which the copy does not exceed.
fn used_bytes(connection: &Connection) -> Result<u64, FinishError> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, u64>(0));
    Ok((pragma("page_count")? - pragma("freelist_count")?) * pragma("page_size")?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oplog;

    #[test]
    fn the_rewrite_that_the_marker_prevents_would_destroy_a_good_key() {
        let connection = oplog::open_in_memory().unwrap();
        let rewrite = "SELECT powersync_remove_duplicate_key_encoding('products/1/a/b')";
        let rewritten: Option<String> =
            connection.query_row(rewrite, [], |row| row.get(0)).unwrap();
        assert_eq!(rewritten, None);
    }

    #[test]
    fn a_scrubbed_database_knows_no_client_and_has_the_marker() {
        let connection = oplog::open_in_memory().unwrap();
        oplog::initialize(&connection).unwrap();
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
    fn a_dense_file_becomes_the_snapshot_without_a_trace_of_the_client() {
        let directory = tempfile::tempdir().unwrap();
        let (synced, target) = (
            directory.path().join("sync.sqlite"),
            directory.path().join("snapshot.sqlite"),
        );
        for dense in [true, false] {
            let connection = oplog::open(&synced).unwrap();
            oplog::initialize(&connection).unwrap();
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
            write(connection, dense, None, &target).unwrap();
            assert_eq!(synced.exists(), !dense);
            assert!(!holds_client(&target));
            std::fs::remove_file(&target).unwrap();
        }
    }
}
