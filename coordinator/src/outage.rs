//! Which errors of databases pass by themselves: of the catalog's, and of those with the list of stores.
//!
//! In: an error of sqlx. Out: whether the same call may succeed later, without any change. Keeps nothing.

/// Length of an error code of Postgres and MySQL. Those of SQLite are shorter numbers.
const SQLSTATE_CHARS: usize = 5;

/// Returns whether the same call may succeed later without a change to the settings.
pub(crate) fn passes(error: &sqlx::Error) -> bool {
    let Some(refused) = error.as_database_error() else {
        return matches!(error, sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut);
    };
    let code = refused.code().unwrap_or_default();
    if code.len() == SQLSTATE_CHARS {
        // In this order: the connection failed, an idle transaction was ended, transactions conflict, resources are
        // short, a lock is not available, the server starts or stops.
        let passing = ["08", "25P03", "40", "53", "55P03", "57"];
        return passing.iter().any(|class| code.starts_with(class));
    }
    // The lowest byte of an extended code of SQLite: SQLITE_BUSY, _LOCKED, _NOMEM, _IOERR and _FULL.
    let code: Option<u32> = code.parse().ok();
    code.is_some_and(|code| matches!(code & 0xff, 5 | 6 | 7 | 10 | 13))
}
