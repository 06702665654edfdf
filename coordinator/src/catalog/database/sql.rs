//! Pieces of SQL and conversions of columns that more than one query needs.

use std::{str::FromStr, time::Duration};

use chrono::{DateTime, Utc};
use sqlx::{
    Any, Row,
    any::{AnyArguments, AnyRow},
    query::Query,
};

use super::error::{CatalogError, damaged};

/// A query on either database.
pub(in crate::catalog) type AnyQuery<'q> = Query<'q, Any, AnyArguments>;

/// A statement, written as in `format!`. Only states, placeholders and constants go into its text; values are bound.
macro_rules! sql {
    ($($part:tt)*) => {
        ::sqlx::AssertSqlSafe(format!($($part)*))
    };
}
pub(in crate::catalog) use sql;

/// Returns `$3, $4, $5`: `count` placeholders from `first`.
pub(in crate::catalog) fn list_of(first: usize, count: usize) -> String {
    let placeholders: Vec<String> = (first..first + count).map(|n| format!("${n}")).collect();
    placeholders.join(", ")
}

/// Cuts `rows`, of a query for one more than `limit`, to a page. Returns the cursor of the next page, which is that of
/// the last row of this one; none if there is no next page.
pub(in crate::catalog) fn cut_page<R, C>(
    rows: &mut Vec<R>,
    limit: u32,
    cursor: impl FnOnce(&R) -> C,
) -> Option<C> {
    let limit = limit as usize;
    let has_next = rows.len() > limit;
    rows.truncate(limit);
    rows.last().filter(|_| has_next).map(cursor)
}

/// A time as both databases store it: Unix milliseconds.
pub(in crate::catalog) fn millis(time: DateTime<Utc>) -> i64 {
    time.timestamp_millis()
}

pub(in crate::catalog) fn time(millis: i64) -> Result<DateTime<Utc>, CatalogError> {
    DateTime::from_timestamp_millis(millis).ok_or_else(|| damaged(millis, "a time"))
}

/// Text as both databases store it. Postgres refuses NUL.
pub(in crate::catalog) fn printable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Reads a text column as a `T`. `expected` describes it, should the text be damaged.
pub(in crate::catalog) fn parsed<T: FromStr>(
    row: &AnyRow,
    column: &str,
    expected: &'static str,
) -> Result<T, CatalogError> {
    let text: String = sqlx::Row::try_get(row, column)?;
    text.parse().map_err(|_| damaged(text, expected))
}

pub(in crate::catalog) fn count(row: &AnyRow, column: &str) -> Result<u64, CatalogError> {
    let count: i64 = row.try_get(column)?;
    u64::try_from(count).map_err(|_| damaged(count, "a count"))
}

pub(in crate::catalog) fn optional_count(
    row: &AnyRow,
    column: &str,
) -> Result<Option<u64>, CatalogError> {
    let count: Option<i64> = row.try_get(column)?;
    count
        .map(|count| u64::try_from(count).map_err(|_| damaged(count, "a count")))
        .transpose()
}

/// A count as both databases store it: neither has unsigned integers. No count comes near the limit.
pub(in crate::catalog) fn stored(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Returns the time from `time`, in Unix milliseconds, to `now`.
pub(in crate::catalog) fn elapsed(time: i64, now: DateTime<Utc>) -> Duration {
    let elapsed = u64::try_from(millis(now) - time).unwrap_or_default();
    Duration::from_millis(elapsed)
}

/// Returns a pattern of LIKE for values that contain `text`, with its wildcards escaped. Queries let the database lower
/// both sides, because SQLite lowers only ASCII.
pub(in crate::catalog) fn pattern(text: Option<&str>) -> String {
    let mut pattern = String::from("%");
    for character in text.unwrap_or_default().chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        // No id has a NUL, and Postgres refuses it.
        if character != '\0' {
            pattern.push(character);
        }
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_count_on() {
        assert_eq!(list_of(2, 3), "$2, $3, $4");
    }

    #[test]
    fn a_pattern_means_each_character_as_it_is() {
        assert_eq!(pattern(None), "%%");
        assert_eq!(pattern(Some(r"50%_A\")), r"%50\%\_A\\%");
    }
}
