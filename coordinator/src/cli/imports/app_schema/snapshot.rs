//! The schema that a database's views show, as PowerSync's core extension 0.4 and 0.5 write them (`views.rs`, and
//! `create_index_stmt` of `schema/management.rs` there).

use std::path::Path;

use serde_json::{Value as Json, json};
use sqlx::{Connection, Row, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::cli::imports::error::ImportError;

/// A schema, and what its database does not say.
pub(super) struct Found {
    pub(super) json: Json,
    pub(super) left: Vec<String>,
}

/// An entry of `sqlite_schema`.
struct Entry {
    kind: String,
    name: String,
    of: String,
    sql: String,
}

/// Reads the schema of the database `path`, and changes nothing.
pub(super) async fn read(path: &Path) -> Result<Found, ImportError> {
    if !path.is_file() {
        return Err(ImportError::content(path, "there is no such file"));
    }
    let refused = |source| ImportError::Database {
        path: path.to_owned(),
        source,
    };
    let entries = entries(path).await.map_err(refused)?;
    let views: Vec<&Entry> = entries
        .iter()
        .filter(|entry| entry.kind == "view")
        .collect();
    let made = |view: &&&Entry| view.sql.ends_with("-- powersync-auto-generated");
    let tables: Vec<Json> = views
        .iter()
        .filter(made)
        .filter_map(|view| table(view, &entries))
        .collect();
    if tables.is_empty() {
        return Err(ImportError::content(path, why_none(&entries)));
    }
    let left = vec![
        "tables and columns are those of this database: compare them with the app's schema".to_owned(),
        "whether tables track previous values or ignore empty updates does not show in a database: if the app's do, set \
         include_old and ignore_empty_update"
            .to_owned(),
    ];
    Ok(Found {
        json: json!({ "tables": tables, "raw_tables": [] }),
        left,
    })
}

/// Why no view tells of a table.
fn why_none(entries: &[Entry]) -> &'static str {
    let has = |name: &str| entries.iter().any(|entry| entry.name == name);
    match has("ps_buckets") {
        true => {
            "it has no views of PowerSync: a compact file has none before a device has finished it; give a snapshot in the form \
             `file`, or an app's database"
        }
        false => "this is no database of PowerSync: it has no ps_buckets",
    }
}

async fn entries(path: &Path) -> Result<Vec<Entry>, sqlx::Error> {
    let options = SqliteConnectOptions::new().filename(path).read_only(true);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let rows = sqlx::query(
        "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema ORDER BY rowid",
    )
    .fetch_all(&mut connection)
    .await?;
    connection.close().await?;
    let entry = |row: &sqlx::sqlite::SqliteRow| {
        Ok(Entry {
            kind: row.try_get(0)?,
            name: row.try_get(1)?,
            of: row.try_get(2)?,
            sql: row.try_get(3)?,
        })
    };
    rows.iter().map(entry).collect()
}

/// The table of a view; none if the view is not written as expected.
fn table(view: &Entry, entries: &[Entry]) -> Option<Json> {
    let (head, rest) = view.sql.split_once(") AS SELECT ")?;
    let mut names = quoted(head.split_once('(')?.1, '"');
    let (columns, from) = rest.rsplit_once(" FROM ")?;
    let internal = quoted(from, '"').into_iter().next()?;
    let local = internal.strip_prefix("ps_data_local__");
    let name = local.or(internal.strip_prefix("ps_data__"))?;
    let has_metadata = columns.ends_with(", NULL, NULL")
        && names.ends_with(&["_metadata".to_owned(), "_deleted".to_owned()]);
    if has_metadata {
        names.truncate(names.len() - 2);
    }
    let kinds = casts(columns);
    // The first is `id`.
    let named = names.iter().skip(1).zip(&kinds);
    let columns: Vec<Json> = named
        .map(|(name, (_, kind, _))| json!({"name": name, "type": kind}))
        .collect();
    let updates = entries.iter().any(|entry| {
        entry.kind == "trigger" && entry.of == view.name && entry.sql.contains("INSTEAD OF UPDATE")
    });
    let prefix = format!("{internal}__");
    let indexes = entries
        .iter()
        .filter(|entry| entry.kind == "index" && entry.of == internal);
    let indexes: Vec<Json> = indexes
        .filter_map(|index| {
            let columns = casts(&index.sql);
            let columns = columns.iter().map(|(name, kind, ascending)| {
                json!({"name": name, "ascending": ascending, "type": kind})
            });
            let columns: Vec<Json> = columns.collect();
            let name = index.name.strip_prefix(&prefix)?;
            Some(json!({"name": name, "columns": columns}))
        })
        .collect();
    Some(json!({
        "name": name,
        "view_name": view.name,
        "columns": columns,
        "indexes": indexes,
        "local_only": local.is_some(),
        "insert_only": !updates,
        "include_old": false,
        "include_old_only_when_changed": false,
        "include_metadata": has_metadata,
        "ignore_empty_update": false,
    }))
}

/// What is in quotes, in order; a doubled quote stands for one.
fn quoted(text: &str, quote: char) -> Vec<String> {
    let mut found = Vec::new();
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        if c != quote {
            continue;
        }
        let mut name = String::new();
        while let Some(c) = characters.next() {
            match c {
                _ if c != quote => name.push(c),
                _ if characters.peek() == Some(&quote) => {
                    characters.next();
                    name.push(quote);
                }
                _ => break,
            }
        }
        found.push(name);
    }
    found
}

/// The columns of `CAST(json_extract(data, '$.name') as TYPE)`: name, type, and whether ascending.
fn casts(sql: &str) -> Vec<(String, String, bool)> {
    let mut found = Vec::new();
    for part in sql.split("CAST(json_extract(data, ").skip(1) {
        let Some(path) = quoted(part, '\'').into_iter().next() else {
            continue;
        };
        let name = path.strip_prefix("$.").unwrap_or(&path);
        // A name that is not plain is in double quotes.
        let name = match name.starts_with('"') {
            true => quoted(name, '"').into_iter().next().unwrap_or_default(),
            false => name.to_owned(),
        };
        let behind = part.rsplit_once(") as ").map_or("", |(_, behind)| behind);
        let kind: String = behind.chars().take_while(|c| c.is_alphanumeric()).collect();
        found.push((name, kind, !behind.contains(" DESC")));
    }
    found
}
