//! Checks a finished file before anybody can download it.
//!
//! A client finds a wrong bucket checksum only at its first checkpoint, and a wrong or missing row in
//! `ps_data__*` never: whatever is not found here is not found at all.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher, RandomState},
    path::Path,
};

use rusqlite::{Connection, OpenFlags, Row};
use seedbed_protocol::message::{Checkpoint, TableRows};

use super::structure;
use crate::{
    oplog::log::{InterruptOnDrop, load_core_extension},
    oplog::schema::tables::{RawTable, quoted},
    snapshot::finish::KEY_FORMAT_MARKER,
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
    /// A JavaScript SDK would rewrite its operations' keys, and lose them.
    #[error(
        "ps_kv lacks {KEY_FORMAT_MARKER}, so that a JavaScript SDK would destroy the keys of ps_oplog"
    )]
    KeyFormat,
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
    Snapshot::open(file)?.verify(&Expected::default())
}

/// A finished file, open for reading.
pub struct Snapshot {
    structure: Connection,
    content: Connection,
}

impl Snapshot {
    /// Opens a file.
    ///
    /// # Errors
    /// [`VerifyError::Unreadable`] when there is no such file or it is not SQLite's.
    pub fn open(file: &Path) -> Result<Self, VerifyError> {
        load_core_extension();
        // A connection is one thread's at a time: SQLite need not lock it for every value that is read.
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = || Connection::open_with_flags(file, flags);
        let (structure, content) = (open()?, open()?);
        structure.pragma_update(None, "cache_size", -structure::CACHE_KIB)?;
        Ok(Self { structure, content })
    }

    /// What stops [`Self::verify`] when it is dropped.
    pub(crate) fn interrupts(&self) -> [InterruptOnDrop; 2] {
        [
            InterruptOnDrop::of(&self.structure),
            InterruptOnDrop::of(&self.content),
        ]
    }

    /// Checks the file against what is expected of it, its structure and its content at the same time. Blocks.
    ///
    /// # Errors
    /// [`VerifyError`] names the first thing that is wrong.
    pub fn verify(self, expected: &Expected<'_>) -> Result<Verified, VerifyError> {
        let Self { structure, content } = self;
        std::thread::scope(|threads| {
            let structure = threads.spawn(move || check_structure(&structure));
            let content = check_content(&content, expected);
            // Damage explains whatever else is wrong.
            structure
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            content
        })
    }
}

fn check_content(
    connection: &Connection,
    expected: &Expected<'_>,
) -> Result<Verified, VerifyError> {
    check_identity(connection)?;
    check_untyped(connection)?;
    let hasher = RandomState::new();
    let operations = Operations::read(connection, &hasher)?;
    check_checksums(connection, &operations, expected.checkpoint)?;
    let mut tables = check_rows(connection, &operations, &hasher, expected.raw_tables)?;
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

fn check_structure(connection: &Connection) -> Result<(), VerifyError> {
    let journal_mode: String =
        connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if journal_mode != "delete" {
        return Err(VerifyError::JournalMode(journal_mode));
    }
    structure::check(connection)
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

/// What one pass over `ps_oplog` finds.
#[derive(Default)]
struct Operations {
    /// The sum of the operations' checksums, by the bucket's row id.
    checksums: HashMap<i64, i64>,
    /// The newest operation of each row, by the rows' type.
    rows: BTreeMap<String, Fingerprint>,
}

/// How many rows, and a sum over their ids and data that does not depend on their order. Two sets of rows
/// that differ have the same one with a probability of 2^-64.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Fingerprint {
    rows: u64,
    sum: u64,
}

impl Fingerprint {
    fn add(&mut self, hasher: &RandomState, id: &[u8], data: &[u8]) {
        self.rows += 1;
        self.sum = self.sum.wrapping_add(hasher.hash_one((id, data)));
    }

    fn remove(&mut self, hasher: &RandomState, id: &[u8], data: &[u8]) {
        self.rows = self.rows.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(hasher.hash_one((id, data)));
    }
}

impl Operations {
    fn read(connection: &Connection, hasher: &RandomState) -> Result<Self, VerifyError> {
        let mut operations = Self::default();
        let mut all =
            connection.prepare("SELECT bucket, hash, row_type, row_id, data FROM ps_oplog")?;
        let mut rows = all.query([])?;
        while let Some(row) = rows.next()? {
            *operations.checksums.entry(row.get(0)?).or_default() += row.get::<_, i64>(1)?;
            operations.with_row(row, 2, |rows, id, data| rows.add(hasher, id, data))?;
        }
        // Rows that are in several buckets have several operations, of which the newest counts.
        let mut superseded = connection.prepare(
            "WITH shared AS MATERIALIZED (
                 SELECT row_type, row_id FROM ps_oplog WHERE row_type IS NOT NULL
                 GROUP BY row_type, row_id HAVING count(*) > 1)
             SELECT o.row_type, o.row_id, o.data
             FROM shared CROSS JOIN ps_oplog AS o ON o.row_type = shared.row_type AND o.row_id = shared.row_id
             WHERE o.op_id < (SELECT max(newest.op_id) FROM ps_oplog AS newest
                              WHERE newest.row_type = o.row_type AND newest.row_id = o.row_id)",
        )?;
        let mut rows = superseded.query([])?;
        while let Some(row) = rows.next()? {
            operations.with_row(row, 0, |rows, id, data| rows.remove(hasher, id, data))?;
        }
        Ok(operations)
    }

    /// Calls `change` with the type, id and data that begin at `column`; not for operations without a row or
    /// without data, which leave no row behind.
    fn with_row(
        &mut self,
        row: &Row<'_>,
        column: usize,
        change: impl FnOnce(&mut Fingerprint, &[u8], &[u8]),
    ) -> Result<(), VerifyError> {
        let text = |index| {
            row.get_ref(index)?
                .as_bytes_or_null()
                .map_err(rusqlite::Error::from)
        };
        let (Some(kind), Some(id), Some(data)) =
            (text(column)?, text(column + 1)?, text(column + 2)?)
        else {
            return Ok(());
        };
        let kind = String::from_utf8_lossy(kind);
        match self.rows.get_mut(&*kind) {
            Some(rows) => change(rows, id, data),
            None => change(self.rows.entry(kind.into_owned()).or_default(), id, data),
        }
        Ok(())
    }
}

/// A bucket's checksum is the sum of what it kept (`ps_oplog.hash`, recomputed here) and what it compacted
/// away (`add_checksum`), modulo 2^32.
fn check_checksums(
    connection: &Connection,
    operations: &Operations,
    checkpoint: Option<&Checkpoint>,
) -> Result<(), VerifyError> {
    let mut found = BTreeMap::new();
    let mut buckets = connection.prepare(
        "SELECT id, name, add_checksum, op_checksum, last_applied_op = last_op
         FROM ps_buckets WHERE name <> '$local'",
    )?;
    let mut rows = buckets.query([])?;
    while let Some(row) = rows.next()? {
        let bucket: String = row.get(1)?;
        let (compacted, recorded): (i64, i64) = (row.get(2)?, row.get(3)?);
        let kept = operations
            .checksums
            .get(&row.get(0)?)
            .copied()
            .unwrap_or_default();
        if !row.get::<_, bool>(4)? {
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

/// Rows without a table of their own, which no client's schema shows.
fn check_untyped(connection: &Connection) -> Result<(), VerifyError> {
    let mut untyped = connection.prepare("SELECT type, count(*) FROM ps_untyped GROUP BY type")?;
    let mut rows = untyped.query([])?;
    match rows.next()? {
        Some(row) => Err(VerifyError::Untyped {
            kind: row.get(0)?,
            rows: row.get(1)?,
        }),
        None => Ok(()),
    }
}

/// Every row of every `ps_data__*` table against its newest operation, in both directions.
fn check_rows(
    connection: &Connection,
    operations: &Operations,
    hasher: &RandomState,
    raw_tables: &[RawTable],
) -> Result<Vec<TableRows>, VerifyError> {
    let mut tables = Vec::new();
    let mut untabled = operations.rows.clone();
    let mut names = connection.prepare(
        "SELECT substr(name, 10) FROM sqlite_master WHERE type = 'table' AND name GLOB 'ps_data__*'",
    )?;
    for table in names.query_map([], |row| row.get::<_, String>(0))? {
        let table = table?;
        let expected = untabled.remove(&table).unwrap_or_default();
        let found = table_fingerprint(connection, &table, hasher)?;
        if found != expected {
            explain_difference(connection, &table)?;
        }
        tables.push(TableRows {
            table,
            rows: found.rows,
        });
    }
    for raw in raw_tables {
        let expected = untabled.remove(&raw.name).unwrap_or_default();
        tables.push(check_raw_table(connection, raw, expected.rows)?);
    }
    if let Some((kind, rows)) = untabled.into_iter().find(|(_, rows)| rows.rows > 0) {
        return Err(VerifyError::Untyped {
            kind,
            rows: rows.rows,
        });
    }
    Ok(tables)
}

fn table_fingerprint(
    connection: &Connection,
    table: &str,
    hasher: &RandomState,
) -> Result<Fingerprint, VerifyError> {
    let mut found = Fingerprint::default();
    let mut all = connection.prepare(&format!("SELECT id, data FROM {}", stored_table(table)))?;
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        let text = |index| {
            row.get_ref(index)?
                .as_bytes_or_null()
                .map_err(rusqlite::Error::from)
        };
        found.add(
            hasher,
            text(0)?.unwrap_or_default(),
            text(1)?.unwrap_or_default(),
        );
    }
    Ok(found)
}

/// Counts what is wrong with a table whose fingerprint is not that of its operations. Finds nothing wrong when
/// one operation came through two buckets, which the fingerprint counts twice.
fn explain_difference(connection: &Connection, table: &str) -> Result<(), VerifyError> {
    let stored = stored_table(table);
    let compare = format!(
        "WITH newest AS MATERIALIZED (
             SELECT row_id, max(op_id), data FROM ps_oplog WHERE row_type = ?1 GROUP BY row_id)
         SELECT
             (SELECT count(*) FROM {stored} AS s JOIN newest ON newest.row_id = s.id AND newest.data IS NOT s.data),
             (SELECT count(*) FROM newest WHERE data IS NOT NULL AND row_id NOT IN (SELECT id FROM {stored})),
             (SELECT count(*) FROM {stored} WHERE id NOT IN (SELECT row_id FROM newest WHERE data IS NOT NULL))"
    );
    let counts = connection.query_row(&compare, [table], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })?;
    match counts {
        (0, 0, 0) => Ok(()),
        (wrong, missing, extra) => Err(VerifyError::Rows {
            table: table.to_owned(),
            wrong,
            missing,
            extra,
        }),
    }
}

fn stored_table(table: &str) -> String {
    quoted(&format!("ps_data__{table}"))
}

/// A raw table is filled by the app's own statements, so that only the number of its rows can be compared.
fn check_raw_table(
    connection: &Connection,
    raw: &RawTable,
    operations: u64,
) -> Result<TableRows, VerifyError> {
    let rows = count(
        connection,
        &format!("SELECT count(*) FROM {}", quoted(&raw.table)),
        [],
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
