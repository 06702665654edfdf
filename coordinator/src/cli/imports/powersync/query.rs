//! What a query of a sync config asks of a client, and which column it compares that with.
//!
//! The functions are those of PowerSync's documentation of Sync Streams (`auth`, `connection`, `subscription`) and of bucket
//! definitions (`request`, `bucket`, and before those `token_parameters` and `user_parameters`).

use super::{
    parts::{Part, is_word, mark, name, parts, word},
    tables::{Column, Tables},
};

/// What is asked of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ask {
    /// A claim of its token, by its path.
    Claim(Vec<String>),
    /// A parameter of its connection.
    Connection(String),
    /// A parameter of its subscription.
    Subscription(String),
    /// A parameter of the bucket, which other queries make.
    Bucket(String),
}

/// What one query asks.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) asks: Vec<Ask>,
    /// What is compared with which column; none where the column's table is not plain.
    pub(super) compared: Vec<(Ask, Column)>,
    /// The columns of the result that are made of what is asked: `request.user_id() AS user_id`.
    pub(super) named: Vec<(String, Ask)>,
}

/// Reads a query.
pub(super) fn asked(query: &str) -> Asked {
    let parts = parts(query);
    let tables = Tables::of(&parts);
    let mut asked = Asked::default();
    let mut at = 0;
    while at < parts.len() {
        let Some((ask, end)) = ask_at(&parts, at) else {
            at += 1;
            continue;
        };
        if let Some(column) = compared_with(&parts, &tables, at, end) {
            asked.compared.push((ask.clone(), column));
        }
        if let Some(name) = name_of(&parts, at, end) {
            asked.named.push((name, ask.clone()));
        }
        asked.asks.push(ask);
        at = end;
    }
    asked
}

/// What is asked at a place, and where that ends.
fn ask_at(parts: &[Part], at: usize) -> Option<(Ask, usize)> {
    let dotted = |offset| word(parts, at + offset);
    if mark(parts, at + 1) != Some(".") {
        return None;
    }
    let (object, called) = (dotted(0)?.to_lowercase(), dotted(2)?);
    let behind = at + 3;
    let plain = match object.as_str() {
        "token_parameters" if called == "user_id" => Some(Ask::Claim(vec!["sub".to_owned()])),
        "token_parameters" => Some(Ask::Claim(vec![called.to_owned()])),
        "user_parameters" => Some(Ask::Connection(called.to_owned())),
        "bucket" => Some(Ask::Bucket(called.to_owned())),
        _ => None,
    };
    if let Some(ask) = plain {
        return Some((ask, behind));
    }
    if mark(parts, behind) != Some("(") {
        return None;
    }
    let called = called.to_lowercase();
    let (path, end) = match (&parts.get(behind + 1)?, called.as_str()) {
        (Part::Mark(")"), "user_id") => (vec!["sub".to_owned()], behind + 2),
        (Part::Mark(")"), "jwt" | "parameters") => path_at(parts, behind + 2)?,
        (Part::Text(name), "parameter") if mark(parts, behind + 2) == Some(")") => {
            (vec![name.clone()], behind + 3)
        }
        _ => return None,
    };
    let first = path.first()?.clone();
    let ask = match (object.as_str(), called.as_str()) {
        ("request", "parameters" | "parameter") | ("connection", _) => Ask::Connection(first),
        ("subscription", _) => Ask::Subscription(first),
        ("request" | "auth", _) => Ask::Claim(path),
        _ => return None,
    };
    Some((ask, end))
}

/// `->> 'name'`, `-> 'outer' ->> 'inner'` or `->> '$.outer.inner'`.
fn path_at(parts: &[Part], from: usize) -> Option<(Vec<String>, usize)> {
    let mut path = Vec::new();
    let mut at = from;
    while matches!(mark(parts, at), Some("->" | "->>")) {
        let Some(Part::Text(text)) = parts.get(at + 1) else {
            return None;
        };
        match text.strip_prefix("$.") {
            Some(inner) => path.extend(inner.split('.').map(str::to_owned)),
            None => path.push(text.clone()),
        }
        at += 2;
    }
    (!path.is_empty()).then_some((path, at))
}

/// The column on the other side of `=` or `IN`.
fn compared_with(parts: &[Part], tables: &Tables, start: usize, end: usize) -> Option<Column> {
    let is_comparison =
        |at: usize| matches!(mark(parts, at), Some("=" | "==")) || is_word(parts, at, "in");
    if start >= 2 && is_comparison(start - 1) {
        return tables.column_ending_at(parts, start - 2);
    }
    if !is_comparison(end) {
        return None;
    }
    // `auth.user_id() IN (SELECT user_id FROM …)` compares with what is selected.
    let selects = mark(parts, end + 1) == Some("(") && is_word(parts, end + 2, "select");
    tables.column_beginning_at(parts, if selects { end + 3 } else { end + 1 })
}

/// What the result calls a column that is only what is asked.
fn name_of(parts: &[Part], start: usize, end: usize) -> Option<String> {
    let begins =
        start >= 1 && (is_word(parts, start - 1, "select") || mark(parts, start - 1) == Some(","));
    if !begins {
        return None;
    }
    if is_word(parts, end, "as") {
        return name(parts, end + 1).map(str::to_owned);
    }
    let ends = end >= parts.len() || mark(parts, end) == Some(",") || is_word(parts, end, "from");
    // `token_parameters.user_id` is called as its last part is.
    (ends && mark(parts, end - 2) == Some(".")).then(|| word(parts, end - 1).map(str::to_owned))?
}
