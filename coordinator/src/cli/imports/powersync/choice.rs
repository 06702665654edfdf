//! Which of the things that a sync config asks of clients is the store, and the query that lists stores.

use super::{
    query::Ask,
    selection::{Selection, Selects},
    tables::Column,
};

/// What selects a store's rows.
#[derive(Debug)]
pub(super) struct Choice<'a> {
    pub(super) ask: &'a Ask,
    pub(super) column: &'a Column,
}

/// Chooses the store: a claim before a parameter, what is compared with an `id` before any other column, and what comes first.
pub(super) fn choose(selection: &Selection) -> Option<Choice<'_>> {
    let compared = |selects: &&Selects| best(&selects.columns).is_some();
    let candidates = selection.asks.iter().filter(compared);
    let chosen = candidates.min_by_key(|selects| {
        let kind = match &selects.ask {
            Ask::Claim(path) if path.len() == 1 => 0,
            Ask::Claim(_) => 1,
            Ask::Subscription(_) => 2,
            Ask::Connection(_) | Ask::Bucket(_) => 3,
        };
        (kind, !best(&selects.columns).is_some_and(is_id))
    })?;
    let column = best(&chosen.columns)?;
    Some(Choice {
        ask: &chosen.ask,
        column,
    })
}

/// The column to list stores by: a table's own `id`, or the first one.
fn best(columns: &[Column]) -> Option<&Column> {
    columns
        .iter()
        .find(|column| is_id(column))
        .or(columns.first())
}

/// Whether a column has each value once.
pub(super) fn is_id(column: &Column) -> bool {
    ["id", "_id"].contains(&column.name.to_lowercase().as_str())
}

impl Choice<'_> {
    /// The name of the store's column in its row, which is a claim too.
    pub(super) fn store_id(&self) -> &str {
        match self.ask {
            Ask::Claim(path) if path.len() == 1 && path[0] != "sub" => &path[0],
            _ => "store_id",
        }
    }

    /// The claims that columns of the same table give.
    pub(super) fn columns<'a>(&self, selection: &'a Selection) -> Vec<(&'a str, &'a Column)> {
        let others = selection
            .asks
            .iter()
            .filter(|selects| selects.ask != *self.ask);
        let columns = others.filter_map(|selects| {
            let Ask::Claim(path) = &selects.ask else {
                return None;
            };
            let [name] = &path[..] else { return None };
            let column = selects
                .columns
                .iter()
                .find(|column| column.table == self.column.table)?;
            (name != "sub").then_some((name.as_str(), column))
        });
        columns.collect()
    }

    /// One row per store. MySQL quotes names by backticks.
    pub(super) fn query(&self, selection: &Selection, kind: &str) -> String {
        let quote = if kind == "mysql" { '`' } else { '"' };
        let quoted = |name: &str| quoted(name, quote);
        let selected = |column: &str, name: &str| match column == name {
            true => quoted(name),
            false => format!("{} AS {}", quoted(column), quoted(name)),
        };
        let mut columns = vec![selected(&self.column.name, self.store_id())];
        let others = self.columns(selection);
        columns.extend(
            others
                .iter()
                .map(|(name, column)| selected(&column.name, name)),
        );
        let distinct = if is_id(self.column) { "" } else { "DISTINCT " };
        let table: Vec<String> = self.column.table.split('.').map(quoted).collect();
        format!(
            "SELECT {distinct}{} FROM {}",
            columns.join(", "),
            table.join(".")
        )
    }
}

/// A name as SQL needs it.
fn quoted(name: &str, quote: char) -> String {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    match name.chars().all(is_plain) && !name.starts_with(|c: char| c.is_ascii_digit()) {
        true => name.to_owned(),
        false => format!("{quote}{name}{quote}"),
    }
}
