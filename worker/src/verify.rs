//! Checks a finished file before anybody can download it.
//!
//! A client finds a wrong bucket checksum only at its first checkpoint, and a wrong or missing row in
//! `ps_data__*` never: whatever is not found here is not found at all.

use std::{collections::BTreeMap, path::Path};

use rusqlite::{Connection, OpenFlags};
use seedbed_protocol::message::{Checkpoint, TableRows};

use crate::{
    database::load_core_extension,
    schema::{RawTable, quoted},
};

/// The priority under which `ps_sync_state` records a complete sync; without it a client says that it never
/// synced. (`BucketPriority::SENTINEL` of the core extension.)
const COMPLETE_SYNC: i64 = 2_147_483_647;

/// What a verified file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Rows of each table, sorted by name.
    pub tables: Vec<TableRows>,
    /// The version of PowerSync's internal tables.
    pub internal_schema_version: u32,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It cannot be read, or it is not a PowerSync database.
    #[error("not a readable PowerSync database: {0}")]
    Unreadable(#[from] rusqlite::Error),
    /// SQLite found damage.
    #[error("integrity_check: {0}")]
    Integrity(String),
    /// It would not open as a plain file.
    #[error("its journal mode is {0:?} instead of \"delete\"")]
    JournalMode(String),
    /// It identifies a client.
    #[error("it still holds a client_id")]
    ClientId,
    /// It holds something to upload.
    #[error("ps_crud holds {0} local changes")]
    LocalChanges(u64),
    /// No complete sync is recorded.
    #[error("no complete sync is recorded in ps_sync_state")]
    NeverSynced,
    /// Rows without a table.
    #[error("{rows} rows of type {kind:?} have no table; add it to schema.file")]
    Untyped {
        /// The rows' type.
        kind: String,
        /// How many.
        rows: u64,
    },
    /// A bucket's operations do not sum to what they must.
    #[error(
        "bucket {bucket:?}: the checksum of its operations is {found:#010x} instead of {expected:#010x}"
    )]
    Checksum {
        /// The bucket.
        bucket: String,
        /// What the service or `ps_buckets` says.
        expected: u32,
        /// What `ps_oplog` sums to.
        found: u32,
    },
    /// A bucket that the checkpoint does not have, or the other way round.
    #[error("bucket {bucket:?} is {}", if *.in_file { "in the file but not in the checkpoint" } else { "in the checkpoint but not in the file" })]
    Buckets {
        /// The bucket.
        bucket: String,
        /// Which side has it.
        in_file: bool,
    },
    /// Operations that were downloaded and not applied.
    #[error("bucket {0:?} has operations that were not applied")]
    Unapplied(String),
    /// Rows differ from their newest operation.
    #[error(
        "table {table:?}: {wrong} rows differ from their newest operation, {missing} are missing, {extra} have no operation"
    )]
    Rows {
        /// The table.
        table: String,
        /// Rows with other data.
        wrong: u64,
        /// Operations without a row.
        missing: u64,
        /// Rows without an operation.
        extra: u64,
    },
}

/// What a snapshot has to match beyond being consistent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Expected<'a> {
    /// The service's checkpoint.
    pub checkpoint: Option<&'a Checkpoint>,
    /// Tables that are not PowerSync's own.
    pub raw_tables: &'a [RawTable],
}

/// Checks a file by itself: everything but the service's checkpoint. Blocks.
///
/// # Errors
/// [`VerifyError`] names the first thing that is wrong.
pub fn verify_file(file: &Path) -> Result<Verified, VerifyError> {
    verify(&open(file, None)?, &Expected::default())
}

/// Opens a snapshot for [`verify`], with a page cache of `cache_kib` KiB or of SQLite's default size.
///
/// # Errors
/// [`VerifyError::Unreadable`] when there is no such file or it is not SQLite's.
pub fn open(file: &Path, cache_kib: Option<u32>) -> Result<Connection, VerifyError> {
    load_core_extension();
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    if let Some(cache_kib) = cache_kib {
        connection.pragma_update(None, "cache_size", -i64::from(cache_kib))?;
    }
    Ok(connection)
}

/// Checks a snapshot against what is expected of it. Blocks.
///
/// # Errors
/// [`VerifyError`] names the first thing that is wrong.
pub fn verify(connection: &Connection, expected: &Expected<'_>) -> Result<Verified, VerifyError> {
    check_integrity(connection)?;
    check_identity(connection)?;
    check_checksums(connection, expected.checkpoint)?;
    check_untyped(connection, expected.raw_tables)?;
    let mut tables = check_rows(connection)?;
    for raw in expected.raw_tables {
        tables.push(check_raw_table(connection, raw)?);
    }
    tables.sort_by(|a, b| a.table.cmp(&b.table));
    let internal_schema_version = count(connection, "SELECT max(id) FROM ps_migration", [])?;
    Ok(Verified {
        tables,
        internal_schema_version: internal_schema_version.try_into().unwrap_or(u32::MAX),
    })
}

fn count(
    connection: &Connection,
    sql: &str,
    parameters: impl rusqlite::Params,
) -> Result<u64, rusqlite::Error> {
    connection
        .prepare_cached(sql)?
        .query_row(parameters, |row| row.get(0))
}

fn check_integrity(connection: &Connection) -> Result<(), VerifyError> {
    let journal_mode: String =
        connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if journal_mode != "delete" {
        return Err(VerifyError::JournalMode(journal_mode));
    }
    let result: String =
        connection.pragma_query_value(None, "integrity_check", |row| row.get(0))?;
    if result == "ok" {
        Ok(())
    } else {
        Err(VerifyError::Integrity(result))
    }
}

fn check_identity(connection: &Connection) -> Result<(), VerifyError> {
    if count(
        connection,
        "SELECT count(*) FROM ps_kv WHERE key = 'client_id'",
        [],
    )? > 0
    {
        return Err(VerifyError::ClientId);
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

/// A bucket's checksum is the sum of what it kept (`ps_oplog.hash`, recomputed here) and what it compacted
/// away (`add_checksum`), modulo 2^32.
fn check_checksums(
    connection: &Connection,
    checkpoint: Option<&Checkpoint>,
) -> Result<(), VerifyError> {
    let mut found = BTreeMap::new();
    let mut buckets = connection.prepare(
        "SELECT name, add_checksum, op_checksum, last_applied_op = last_op,
                coalesce((SELECT sum(hash) FROM ps_oplog WHERE bucket = ps_buckets.id), 0)
         FROM ps_buckets WHERE name <> '$local'",
    )?;
    let mut rows = buckets.query([])?;
    while let Some(row) = rows.next()? {
        let bucket: String = row.get(0)?;
        let (compacted, recorded, kept): (i64, i64, i64) = (row.get(1)?, row.get(2)?, row.get(4)?);
        if !row.get::<_, bool>(3)? {
            return Err(VerifyError::Unapplied(bucket));
        }
        if recorded as u32 != kept as u32 {
            return Err(VerifyError::Checksum {
                bucket,
                expected: recorded as u32,
                found: kept as u32,
            });
        }
        found.insert(bucket, (compacted as u32).wrapping_add(kept as u32));
    }
    let Some(checkpoint) = checkpoint else {
        return Ok(());
    };
    for expected in &checkpoint.buckets {
        let bucket = expected.bucket.clone();
        // A bucket without rows has checksum 0 and no entry in the file.
        let found = found
            .remove(&bucket)
            .or((expected.checksum == 0).then_some(0));
        match found {
            None => {
                return Err(VerifyError::Buckets {
                    bucket,
                    in_file: false,
                });
            }
            Some(found) if found != expected.checksum => {
                return Err(VerifyError::Checksum {
                    bucket,
                    expected: expected.checksum,
                    found,
                });
            }
            Some(_) => {}
        }
    }
    match found.into_keys().next() {
        Some(bucket) => Err(VerifyError::Buckets {
            bucket,
            in_file: true,
        }),
        None => Ok(()),
    }
}

fn check_untyped(connection: &Connection, raw_tables: &[RawTable]) -> Result<(), VerifyError> {
    let mut untyped = connection.prepare("SELECT type, count(*) FROM ps_untyped GROUP BY type")?;
    let mut rows = untyped.query([])?;
    while let Some(row) = rows.next()? {
        let (kind, rows): (String, u64) = (row.get(0)?, row.get(1)?);
        if !raw_tables.iter().any(|raw| raw.name == kind) {
            return Err(VerifyError::Untyped { kind, rows });
        }
    }
    Ok(())
}

/// Every row of every `ps_data__*` table against its newest operation, in both directions.
fn check_rows(connection: &Connection) -> Result<Vec<TableRows>, VerifyError> {
    let mut names = connection.prepare(
        "SELECT substr(name, 10) FROM sqlite_master WHERE type = 'table' AND name GLOB 'ps_data__*'",
    )?;
    let names: Vec<String> = names
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    names
        .into_iter()
        .map(|table| check_table(connection, table))
        .collect()
}

fn check_table(connection: &Connection, table: String) -> Result<TableRows, VerifyError> {
    let stored = quoted(&format!("ps_data__{table}"));
    let (mut rows, mut wrong, mut extra) = (0, 0, 0);
    // The newest operation of a row is the one with the greatest op id, whatever its bucket.
    let compared = format!(
        "SELECT count(*),
                coalesce(sum(has_operation AND NOT same), 0),
                coalesce(sum(NOT has_operation), 0)
         FROM (SELECT newest.op IS NOT NULL AS has_operation, newest.data IS stored.data AS same
               FROM {stored} AS stored
               LEFT JOIN (SELECT row_id, max(op_id) AS op, data FROM ps_oplog
                          WHERE row_type = ?1 GROUP BY row_id) AS newest
               ON newest.row_id = stored.id)"
    );
    connection.query_row(&compared, [&table], |row| {
        (rows, wrong, extra) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(())
    })?;
    let operations = count(
        connection,
        "SELECT count(DISTINCT row_id) FROM ps_oplog WHERE row_type = ?1",
        [&table],
    )?;
    let missing = operations.saturating_sub(rows - extra);
    if wrong + missing + extra > 0 {
        return Err(VerifyError::Rows {
            table,
            wrong,
            missing,
            extra,
        });
    }
    Ok(TableRows { table, rows })
}

/// A raw table is filled by the app's own statements, so that only the number of its rows can be compared.
fn check_raw_table(connection: &Connection, raw: &RawTable) -> Result<TableRows, VerifyError> {
    let rows = count(
        connection,
        &format!("SELECT count(*) FROM {}", quoted(&raw.table)),
        [],
    )?;
    let operations = count(
        connection,
        "SELECT count(DISTINCT row_id) FROM ps_oplog WHERE row_type = ?1",
        [&raw.name],
    )?;
    let (missing, extra) = (
        operations.saturating_sub(rows),
        rows.saturating_sub(operations),
    );
    if missing + extra > 0 {
        return Err(VerifyError::Rows {
            table: raw.table.clone(),
            wrong: 0,
            missing,
            extra,
        });
    }
    Ok(TableRows {
        table: raw.table.clone(),
        rows,
    })
}
