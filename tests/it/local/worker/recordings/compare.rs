//! Two snapshots that have to be the same.

use std::{collections::HashSet, path::Path};

use rusqlite::Connection;

/// Everything that makes two snapshots the same: rows, operations, checksums, subscriptions; times aside.
///
/// Two references were made a little after the end of their recordings: the few rows that changed in between,
/// and how far the buckets had come by then, are left out.
pub(super) fn compare(what: &str, snapshot: &Path, reference: &Path) {
    let (ours, theirs) = (
        Connection::open(snapshot).unwrap(),
        Connection::open(reference).unwrap(),
    );
    let newest =
        |db: &Connection| db.query_row("SELECT max(last_op) FROM ps_buckets", [], |row| row.get(0));
    let (end, reference_end): (Option<i64>, Option<i64>) =
        (newest(&ours).unwrap(), newest(&theirs).unwrap());
    let changed = match end == reference_end {
        true => Vec::new(),
        false => changed_since(&ours, &theirs, end.unwrap_or_default()),
    };
    assert!(
        changed.len() <= 5,
        "{what}: the reference is of another state: {changed:?}"
    );
    let changed = changed.join(",");

    let tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB 'ps_data__*'";
    for table in rows(&theirs, tables).iter().flatten() {
        let table = table.trim_matches('\'');
        if rows(&theirs, &format!("SELECT * FROM \"{table}\" LIMIT 1")).is_empty() {
            // The SDK was given its tables; here they come from the rows, and there are none.
            continue;
        }
        let sql =
            format!("SELECT id, data FROM \"{table}\" WHERE id NOT IN ({changed}) ORDER BY id");
        equal(what, &ours, &theirs, &sql);
    }
    let operations = format!(
        "SELECT b.name, o.op_id, o.key, o.row_type, o.row_id, o.data, o.hash
         FROM ps_oplog o JOIN ps_buckets b ON b.id = o.bucket
         WHERE o.row_id NOT IN ({changed}) ORDER BY b.name, o.op_id, o.key"
    );
    equal(what, &ours, &theirs, &operations);
    if end == reference_end {
        equal(
            what,
            &ours,
            &theirs,
            "SELECT name, last_op, last_applied_op, (add_checksum + op_checksum) & 0xffffffff FROM ps_buckets ORDER BY name",
        );
    }
    equal(
        what,
        &ours,
        &theirs,
        "SELECT stream_name, active, is_default, local_priority, local_params, ttl IS NULL
         FROM ps_stream_subscriptions ORDER BY stream_name, local_params",
    );
}

/// Rows with an operation after `end`, and rows that are gone.
fn changed_since(ours: &Connection, theirs: &Connection, end: i64) -> Vec<String> {
    let updated = rows(
        theirs,
        &format!("SELECT row_id FROM ps_oplog WHERE op_id > {end}"),
    );
    let all = "SELECT DISTINCT row_id FROM ps_oplog";
    let left: HashSet<_> = rows(theirs, all).into_iter().collect();
    let removed = rows(ours, all)
        .into_iter()
        .filter(|row| !left.contains(row));
    updated.into_iter().chain(removed).flatten().collect()
}

fn equal(what: &str, ours: &Connection, theirs: &Connection, sql: &str) {
    let (ours, theirs) = (rows(ours, sql), rows(theirs, sql));
    let different = ours.iter().zip(&theirs).find(|(a, b)| a != b);
    assert!(different.is_none(), "{what}: {sql}: {different:?}");
    assert_eq!(ours.len(), theirs.len(), "{what}: {sql}");
}

fn rows(connection: &Connection, sql: &str) -> Vec<Vec<String>> {
    let mut statement = connection
        .prepare(sql)
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    let columns = statement.column_count();
    let quoted = |row: &rusqlite::Row<'_>| {
        let value = |column| row.get::<_, rusqlite::types::Value>(column);
        (0..columns)
            .map(|column| Ok(text(value(column)?)))
            .collect()
    };
    statement
        .query_map([], quoted)
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap()
}

fn text(value: rusqlite::types::Value) -> String {
    match value {
        rusqlite::types::Value::Text(text) => format!("'{text}'"),
        other => format!("{other:?}"),
    }
}
