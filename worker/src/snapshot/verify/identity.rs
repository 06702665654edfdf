//! Checks that a file identifies no client, holds nothing to upload, and records a complete sync.

use rusqlite::Connection;

use super::{error::VerifyError, sql::count};
use crate::snapshot::finish::KEY_FORMAT_MARKER;

/// The priority under which `ps_sync_state` records a complete sync; without it a client reports that it never synced.
/// (`BucketPriority::SENTINEL` of the core extension.)
const COMPLETE_SYNC: i64 = 2_147_483_647;

pub(super) fn check_identity(connection: &Connection) -> Result<(), VerifyError> {
    if count(
        connection,
        "SELECT count(*) FROM ps_kv WHERE key = 'client_id'",
        [],
    )? > 0
    {
        return Err(VerifyError::ClientId);
    }
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
