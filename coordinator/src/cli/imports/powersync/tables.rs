//! Which table a column of a query belongs to.

use super::parts::{Part, is_word, mark, name};

/// A column, and its table as the query writes it: `stores`, or `public.stores`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) table: String,
    pub(super) name: String,
}

/// The tables of a query and of the queries within it.
#[derive(Debug)]
pub(super) struct Tables {
    scopes: Vec<Scope>,
}

/// A `SELECT` with its tables, each by the name that the query uses for it.
#[derive(Debug)]
struct Scope {
    start: usize,
    end: usize,
    tables: Vec<(String, String)>,
}

/// Words that follow a table and are no other name for it.
const BEHIND_TABLES: [&str; 14] = [
    "where",
    "join",
    "inner",
    "left",
    "cross",
    "outer",
    "on",
    "order",
    "group",
    "limit",
    "union",
    "intersect",
    "except",
    "having",
];

impl Tables {
    /// Finds the tables of a query.
    pub(super) fn of(parts: &[Part]) -> Self {
        let starts = (0..parts.len()).filter(|at| is_word(parts, *at, "select"));
        let scopes = starts.map(|start| {
            let end = end_of(parts, start);
            Scope {
                start,
                end,
                tables: tables(parts, start, end),
            }
        });
        Self {
            scopes: scopes.collect(),
        }
    }

    /// The column whose last part is at `at`.
    pub(super) fn column_ending_at(&self, parts: &[Part], at: usize) -> Option<Column> {
        let column = name(parts, at)?;
        let qualifier = match at.checked_sub(2) {
            Some(before) if mark(parts, at - 1) == Some(".") => name(parts, before),
            _ => None,
        };
        self.column(at, qualifier, column)
    }

    /// The column whose first part is at `at`.
    pub(super) fn column_beginning_at(&self, parts: &[Part], at: usize) -> Option<Column> {
        let first = name(parts, at)?;
        if mark(parts, at + 1) == Some(".") {
            // What a function of the client gives is no column.
            let column = name(parts, at + 2)?;
            return self.column(at, Some(first), column);
        }
        self.column(at, None, first)
    }

    fn column(&self, at: usize, qualifier: Option<&str>, column: &str) -> Option<Column> {
        let within = self
            .scopes
            .iter()
            .filter(|scope| (scope.start..scope.end).contains(&at));
        // The innermost one begins last.
        let scope = within.max_by_key(|scope| scope.start)?;
        let table = match (qualifier, &scope.tables[..]) {
            (Some(qualifier), tables) => {
                let mut tables = tables.iter();
                &tables
                    .find(|(name, _)| name.eq_ignore_ascii_case(qualifier))?
                    .1
            }
            (None, [(_, table)]) => table,
            (None, _) => return None,
        };
        Some(Column {
            table: table.clone(),
            name: column.to_owned(),
        })
    }
}

/// Where the `SELECT` at `start` ends: at the parenthesis that closes it.
fn end_of(parts: &[Part], start: usize) -> usize {
    let mut depth = 0_usize;
    for at in start..parts.len() {
        match mark(parts, at) {
            Some("(") => depth += 1,
            Some(")") if depth == 0 => return at,
            Some(")") => depth -= 1,
            _ => {}
        }
    }
    parts.len()
}

/// The tables behind the `FROM` of a `SELECT`, and behind each `JOIN`.
fn tables(parts: &[Part], start: usize, end: usize) -> Vec<(String, String)> {
    let mut tables = Vec::new();
    let mut depth = 0_usize;
    let mut in_from = false;
    let mut at = start;
    while at < end {
        match mark(parts, at) {
            Some("(") => depth += 1,
            Some(")") => depth = depth.saturating_sub(1),
            _ => {}
        }
        let here = depth == 0;
        in_from = here && (is_word(parts, at, "from") || (in_from && !is_word(parts, at, "where")));
        let begins = is_word(parts, at, "from") || is_word(parts, at, "join");
        let follows = in_from && mark(parts, at) == Some(",");
        at += 1;
        if here
            && (begins || follows)
            && let Some((table, behind)) = table_at(parts, at)
        {
            tables.push(table);
            at = behind;
        }
    }
    tables
}

/// A table and the name that the query uses for it, and what comes behind them.
fn table_at(parts: &[Part], at: usize) -> Option<((String, String), usize)> {
    let mut last = name(parts, at)?;
    let mut table = last.to_owned();
    let mut at = at + 1;
    while mark(parts, at) == Some(".") {
        last = name(parts, at + 1)?;
        table = format!("{table}.{last}");
        at += 2;
    }
    at += usize::from(is_word(parts, at, "as"));
    let other = name(parts, at).filter(|word| {
        let word = word.to_lowercase();
        !BEHIND_TABLES.contains(&word.as_str())
    });
    match other {
        Some(other) => Some(((other.to_owned(), table), at + 1)),
        None => Some(((last.to_owned(), table), at)),
    }
}
