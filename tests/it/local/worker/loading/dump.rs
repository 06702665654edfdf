//! Everything that is in a database, as text.

use rusqlite::{Connection, types::ValueRef};

/// Columns with a time or a random value: only whether they are set is compared.
const BY_NATURE_DIFFERENT: [(&str, &str); 4] = [
    ("ps_sync_state", "last_synced_at"),
    ("ps_stream_subscriptions", "last_synced_at"),
    ("ps_stream_subscriptions", "expires_at"),
    ("ps_kv", "value"),
];

/// The definitions of all tables, indexes, views and triggers, and the content of all tables; a line each, sorted. Unless
/// operations were `added` to what was there, `ps_oplog` is in the order in which it came, and so are the columns of views that
/// are inferred from it.
pub(crate) fn dump(connection: &Connection, added: bool) -> String {
    let check: String = connection
        .pragma_query_value(None, "integrity_check", |row| row.get(0))
        .unwrap();
    let mut lines = vec![format!("integrity_check: {check}")];
    let mut objects = connection
        .prepare("SELECT type, name, coalesce(sql, '') FROM sqlite_master UNION ALL SELECT 'temp ' || type, name, sql FROM sqlite_temp_master ORDER BY 1, 2")
        .unwrap();
    let objects: Vec<(String, String, String)> = objects
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    for (kind, name, sql) in &objects {
        if added && matches!(kind.as_str(), "view" | "trigger") {
            let mut words: Vec<_> = sql.split(|c: char| !c.is_alphanumeric()).collect();
            words.sort_unstable();
            lines.push(format!("{kind} {name}: {words:?}"));
        } else {
            lines.push(format!("{kind} {name}: {sql:?}"));
        }
        if kind == "table" {
            lines.extend(rows(connection, name, name == "ps_oplog" && !added));
        }
    }
    lines.join("\n")
}

fn rows(connection: &Connection, table: &str, in_order: bool) -> Vec<String> {
    let order = if in_order { " ORDER BY rowid" } else { "" };
    let table_name = table.replace('"', "\"\"");
    let mut all = connection
        .prepare(&format!("SELECT * FROM \"{table_name}\"{order}"))
        .unwrap();
    let columns: Vec<String> = all.column_names().into_iter().map(str::to_owned).collect();
    let mut found = Vec::new();
    let mut rows = all.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let mut line = format!(
            "{table}[{}]",
            if order.is_empty() { 0 } else { found.len() }
        );
        for (index, column) in columns.iter().enumerate() {
            let value = row.get_ref(index).unwrap();
            let different = BY_NATURE_DIFFERENT.contains(&(table, column));
            match value {
                ValueRef::Null => line.push_str(&format!(" {column}=NULL")),
                _ if different => line.push_str(&format!(" {column}=(set)")),
                ValueRef::Text(text) => {
                    let text = String::from_utf8_lossy(text);
                    line.push_str(&format!(" {column}={text:?}"));
                }
                value => line.push_str(&format!(" {column}={value:?}")),
            }
        }
        found.push(line);
    }
    if order.is_empty() {
        found.sort();
    }
    found
}
