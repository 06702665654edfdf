//! Checks that a file identifies no client, holds nothing to upload, and records a complete sync.

use rusqlite::Connection;

use super::{error::VerifyError, sql::count};
use crate::snapshot::finish::KEY_FORMAT_MARKER;

/// The priority under which `ps_sync_state` records a complete sync; without it a client reports that it never synced.
/// (`BucketPriority::SENTINEL` of the core extension.)
const COMPLETE_SYNC: i64 = 2_147_483_647;

/// Refuses what the client that made the file leaves in `ps_kv`: its id, and the requests for checkpoints that core
/// extensions since 0.5 keep there (`last_seen_checkpoint_request_id` and the like), which would let a device apply a
/// checkpoint before its own writes are in it.
///
/// # Errors
/// [`VerifyError::Client`] names the key.
pub(crate) fn check_traces(connection: &Connection) -> Result<(), VerifyError> {
    let mut keys = connection.prepare(
        "SELECT key FROM main.ps_kv WHERE key = 'client_id' OR key GLOB '*_checkpoint_request_id' ORDER BY key",
    )?;
    let mut keys = keys.query_map([], |row| row.get(0))?;
    match keys.next() {
        Some(key) => Err(VerifyError::Client(key?)),
        None => Ok(()),
    }
}

pub(super) fn check_identity(connection: &Connection) -> Result<(), VerifyError> {
    check_traces(connection)?;
    if count(
        connection,
        "SELECT count(*) FROM ps_kv WHERE key = ?1",
        [KEY_FORMAT_MARKER],
    )? == 0
    {
        return Err(VerifyError::KeyFormat);
    }
    let local = count(connection, "SELECT count(*) FROM ps_crud", [])?;
    if local > 0 {
        return Err(VerifyError::LocalChanges(local));
    }
    if count(
        connection,
        "SELECT count(*) FROM ps_sync_state WHERE priority = ?1",
        [COMPLETE_SYNC],
    )? == 0
    {
        return Err(VerifyError::NeverSynced);
    }
    Ok(())
}
