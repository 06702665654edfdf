//! Compares two files of one snapshot: their tables, indexes, views and triggers, and every row.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, Hasher, RandomState},
};

use rusqlite::{Connection, Statement, types::ValueRef};
use seedbed_protocol::manifest::Form;

use super::error::FormError;
use crate::oplog::{RawTable, quoted};

/// The name under which the file is attached.
const FILE: &str = "file";

/// What two good files of one snapshot need not have in common: by table, the columns that say when, and the rows that say
/// who.
const DIFFERENT: [Different; 3] = [
    ("ps_kv", &[], "key <> 'client_id'"),
    ("ps_sync_state", &["last_synced_at"], "true"),
    (
        "ps_stream_subscriptions",
        &["expires_at", "last_synced_at"],
        "true",
    ),
];

/// The same for a file that was downloaded as another stream: rows are numbered anew, and counts are the service's.
const DIFFERENT_IN_A_STREAM: [Different; 2] = [
    (
        "ps_stream_subscriptions",
        &["id", "expires_at", "last_synced_at"],
        "true",
    ),
    (
        "ps_buckets",
        &["id", "count_at_last", "count_since_last", "downloaded_size"],
        "true",
    ),
];

/// A table, its columns that are not compared, and which rows are.
type Different = (&'static str, &'static [&'static str], &'static str);

/// Compares the database that `connection` has open with the one that is attached to it as `file`. Blocks.
///
/// The app's own tables are compared by their rows if the statements of a raw table fill every column, and else by their
/// number.
///
/// # Errors
/// [`FormError`] names the first thing that differs.
pub(super) fn compare(
    connection: &Connection,
    form: Form,
    raw_tables: &[RawTable],
) -> Result<(), FormError> {
    let (ours, theirs) = (objects(connection, "main")?, objects(connection, FILE)?);
    for (name, sql) in &theirs {
        let how = match ours.get(name) {
            Some(our) if our == sql => continue,
            Some(_) => "another one",
            None => "missing",
        };
        return Err(object(form, name, how));
    }
    if let Some(name) = ours.keys().find(|name| !theirs.contains_key(*name)) {
        return Err(object(form, name, "not in the file"));
    }
    let hasher = RandomState::new();
    for table in tables(connection)? {
        let sql = theirs
            .get(&table)
            .and_then(Option::as_deref)
            .unwrap_or_default();
        if table.starts_with("ps_") || is_filled(&table, sql, raw_tables) {
            compare_rows(connection, form, &table, &hasher)?;
        } else {
            compare_numbers(connection, form, &table)?;
        }
    }
    Ok(())
}

/// Returns the tables with rows of their own: not those that a virtual table keeps its rows in.
fn tables(connection: &Connection) -> Result<Vec<String>, rusqlite::Error> {
    let mut names = connection.prepare(
        "SELECT name FROM pragma_table_list
         WHERE schema = 'file' AND type = 'table' AND name NOT LIKE 'sqlite_%'",
    )?;
    let names = names.query_map([], |row| row.get(0))?;
    names.collect()
}

/// Whether the statements of a raw table fill every column of a table: SQLite itself fills none, and no trigger does.
fn is_filled(table: &str, sql: &str, raw_tables: &[RawTable]) -> bool {
    let words: Vec<_> = sql.split_whitespace().collect();
    let sql = words.join(" ").to_uppercase();
    let by_sqlite = ["DEFAULT", "INTEGER PRIMARY KEY", "GENERATED"];
    raw_tables.iter().any(|raw| raw.table == table)
        && !by_sqlite.iter().any(|word| sql.contains(word))
}

fn object(form: Form, name: &str, how: &'static str) -> FormError {
    let (form, name) = (form.name(), name.to_owned());
    FormError::Object { form, name, how }
}

/// Returns what a database consists of, by name; without SQLite's own. A renamed table has quotes around its name.
fn objects(
    connection: &Connection,
    database: &str,
) -> Result<BTreeMap<String, Option<String>>, rusqlite::Error> {
    let mut objects = connection.prepare(&format!(
        "SELECT name, replace(sql, '\"ps_oplog\"', 'ps_oplog') FROM {database}.sqlite_master
         WHERE name NOT LIKE 'sqlite_%'"
    ))?;
    let objects = objects.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    objects.collect()
}

fn compare_rows(
    connection: &Connection,
    form: Form,
    table: &str,
    hasher: &RandomState,
) -> Result<(), FormError> {
    let (columns, rows) = compared(connection, form, table)?;
    let select = |database: &str| {
        let columns = columns.replace(DATABASE, database);
        let table = quoted(table);
        format!("SELECT {columns} FROM {database}.{table} NOT INDEXED WHERE {rows}")
    };
    let fingerprint = |database| fingerprint(connection.prepare(&select(database))?, hasher);
    let (ours, theirs) = (fingerprint("main")?, fingerprint(FILE)?);
    if ours == theirs {
        return Ok(());
    }
    let only = |one: &str, other: &str| {
        let sql = format!(
            "SELECT count(*) FROM ({} EXCEPT {})",
            select(one),
            select(other)
        );
        connection.query_row(&sql, [], |row| row.get(0))
    };
    Err(FormError::Rows {
        form: form.name(),
        table: table.to_owned(),
        rows: theirs.rows,
        missing: only(FILE, "main")?,
        extra: only("main", FILE)?,
    })
}

fn compare_numbers(connection: &Connection, form: Form, table: &str) -> Result<(), FormError> {
    let count = |database: &str| {
        let count = format!("SELECT count(*) FROM {database}.{}", quoted(table));
        connection.query_row(&count, [], |row| row.get::<_, u64>(0))
    };
    let (ours, rows) = (count("main")?, count(FILE)?);
    if ours == rows {
        return Ok(());
    }
    Err(FormError::Rows {
        form: form.name(),
        table: table.to_owned(),
        rows,
        missing: rows.saturating_sub(ours),
        extra: ours.saturating_sub(rows),
    })
}

/// Stands for the database in the columns of [`compared`].
const DATABASE: &str = "{database}";

/// Returns the columns of a table that are compared, and the rows, as SQL.
fn compared(
    connection: &Connection,
    form: Form,
    table: &str,
) -> Result<(String, String), rusqlite::Error> {
    let in_stream = DIFFERENT_IN_A_STREAM.iter().filter(|_| form.is_stream());
    let mut different = in_stream.chain(&DIFFERENT);
    let different = different.find(|(name, ..)| *name == table);
    let (ignored, rows) =
        different.map_or((&[][..], "true"), |&(_, columns, rows)| (columns, rows));
    let mut columns = connection.prepare("SELECT name FROM pragma_table_info(?1, 'file')")?;
    let columns: Vec<String> = columns
        .query_map([table], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let columns = columns
        .iter()
        .filter(|column| !ignored.contains(&column.as_str()))
        .map(|column| match (form, table, column.as_str()) {
            // Buckets are numbered in the order in which they come.
            (form, "ps_oplog", "bucket") if form.is_stream() => {
                format!("(SELECT name FROM {DATABASE}.ps_buckets WHERE id = bucket)")
            }
            _ => quoted(column),
        });
    Ok((columns.collect::<Vec<_>>().join(", "), rows.to_owned()))
}

/// The number of rows, and a sum over them that does not depend on their order. Two different sets of rows have the same
/// fingerprint with a probability of 2^-64.
#[derive(Debug, Default, PartialEq, Eq)]
struct Fingerprint {
    rows: u64,
    sum: u64,
}

fn fingerprint(
    mut rows: Statement<'_>,
    hasher: &RandomState,
) -> Result<Fingerprint, rusqlite::Error> {
    let columns = rows.column_count();
    let mut rows = rows.query([])?;
    let mut found = Fingerprint::default();
    while let Some(row) = rows.next()? {
        let mut hash = hasher.build_hasher();
        for column in 0..columns {
            match row.get_ref(column)? {
                ValueRef::Null => hash.write_u8(0),
                ValueRef::Integer(number) => {
                    hash.write_u8(1);
                    hash.write_i64(number);
                }
                ValueRef::Real(number) => {
                    hash.write_u8(2);
                    hash.write_u64(number.to_bits());
                }
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                    hash.write_u8(3);
                    hash.write_usize(bytes.len());
                    hash.write(bytes);
                }
            }
        }
        found.rows += 1;
        found.sum = found.sum.wrapping_add(hash.finish());
    }
    Ok(found)
}
