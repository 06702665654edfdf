//! The state of buckets in `ps_buckets`, as the core extension keeps it: their checksums, and how far they have come.

use rusqlite::{Connection, OptionalExtension};

use crate::oplog::{checkpoint::TargetCheckpoint, operations::Batch, sqlite::DatabaseError};

/// Higher than any operation.
const ALL_APPLIED: i64 = i64::MAX;

/// The checksums that the operations of a line add to their bucket: of superseded operations, and of those in
/// `ps_oplog`.
#[derive(Default, PartialEq)]
pub(super) struct Sums {
    pub(super) superseded: u32,
    pub(super) kept: u32,
}

impl Sums {
    /// Counts an operation that is in `ps_oplog` now.
    pub(super) fn keep(&mut self, checksum: u32) {
        self.kept = self.kept.wrapping_add(checksum);
    }

    /// Counts an operation that is not in `ps_oplog`.
    pub(super) fn pass(&mut self, checksum: u32) {
        self.superseded = self.superseded.wrapping_add(checksum);
    }

    /// Counts an operation that was in `ps_oplog`.
    pub(super) fn supersede(&mut self, checksum: u32) {
        self.pass(checksum);
        self.kept = self.kept.wrapping_sub(checksum);
    }
}

/// What lines add to the state of their bucket.
#[derive(Default, PartialEq)]
pub(super) struct Progress {
    pub(super) sums: Sums,
    /// Whether the bucket was emptied before what `sums` count.
    pub(super) is_cleared: bool,
    last_op: Option<i64>,
    operations: i64,
    bytes: i64,
}

impl Progress {
    /// Counts a line of so many bytes, as the core extension counts it.
    pub(super) fn count(&mut self, batch: &Batch, bytes: usize) {
        if let Some(last) = batch.operations.last() {
            self.last_op = Some(last.op_id);
            self.operations += batch.operations.len() as i64;
            self.bytes += bytes as i64;
        }
    }
}

/// Records what is new of a bucket.
pub(super) fn record(
    connection: &Connection,
    bucket: i64,
    new: &Progress,
) -> Result<(), DatabaseError> {
    if *new == Progress::default() {
        return Ok(());
    }
    let mut update = connection.prepare_cached(
        "UPDATE ps_buckets SET
             last_op = coalesce(?2, last_op),
             add_checksum = (iif(?3, 0, add_checksum) + ?4) & 0xffffffff,
             op_checksum = (iif(?3, 0, op_checksum) + ?5) & 0xffffffff,
             count_since_last = count_since_last + ?6,
             downloaded_size = downloaded_size + ?7
         WHERE id = ?1",
    )?;
    update.execute((
        bucket,
        new.last_op,
        new.is_cleared,
        new.sums.superseded,
        new.sums.kept,
        new.operations,
        new.bytes,
    ))?;
    Ok(())
}

/// Returns whether the checksum of what is there is the service's, in every bucket up to this priority number.
pub(super) fn matches(
    connection: &Connection,
    target: &TargetCheckpoint,
    priority: Option<u8>,
) -> Result<bool, DatabaseError> {
    let mut sums = connection.prepare_cached(
        "SELECT (add_checksum + op_checksum) & 0xffffffff FROM ps_buckets WHERE name = ?1",
    )?;
    for (bucket, checksum) in target.checksums(priority) {
        let found = sums.query_row([bucket], |row| row.get(0)).optional()?;
        if found.unwrap_or(0) != checksum {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Leaves the core extension no row to apply: all of them are in their tables.
pub(super) fn all_applied(connection: &Connection) -> Result<(), DatabaseError> {
    connection.execute("UPDATE ps_buckets SET last_applied_op = ?1", [ALL_APPLIED])?;
    Ok(())
}
