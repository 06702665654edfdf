//! Tells whether a catalog in a file fails because its disk is full. SQLite has a dozen codes for that.

use std::path::Path;

use seedbed_worker::seed::available_space;

/// What a catalog in a file needs beside what it has: its log of writes grows up to this before it is taken in.
const NEEDED_MIB: u64 = 64;

/// Below this, an error of reading and writing is taken for a full disk.
const LITTLE: u64 = 1 << 20;

/// SQLite's codes, of which an extended one has this in its lowest byte: a full disk, an error of reading and writing, a file that
/// cannot be made.
const FULL: u32 = 13;
const IO: u32 = 10;
const NOT_OPENED: u32 = 14;

/// Extended codes of writes: write, fsync, of the directory, truncate, size and mapping of the shared memory.
const WRITES: [u32; 6] = [778, 1034, 1290, 1546, 4874, 5386];

/// Says that the disk of `file` is full, if that is why.
pub(super) fn full_disk(error: &sqlx::Error, file: &Path) -> Option<String> {
    let code = code_of(error)?;
    let free = available_space(file).ok();
    said(code, free).map(|said| format!("{error}: {said}"))
}

fn said(code: u32, free: Option<u64>) -> Option<String> {
    let is_full = match code & 0xff {
        FULL => true,
        IO | NOT_OPENED => free.is_some_and(|free| free < LITTLE),
        _ => false,
    };
    let free = free.map_or_else(String::new, |free| {
        format!(" ({} KiB are free)", free >> 10)
    });
    is_full.then(|| {
        format!("the disk is full{free}; make room for at least {NEEDED_MIB} MiB, and start again")
    })
}

/// What is added to an error where nobody knows the file.
pub(super) fn hint(error: &sqlx::Error) -> String {
    let reason = match code_of(error) {
        Some(code) if code & 0xff == FULL => "the disk is full: make room for",
        Some(code) if WRITES.contains(&code) => "if its disk is full, make room for",
        _ => return String::new(),
    };
    format!("; {reason} at least {NEEDED_MIB} MiB")
}

fn code_of(error: &sqlx::Error) -> Option<u32> {
    error.as_database_error()?.code()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use sqlx::{AnyConnection, Connection};

    use super::*;

    #[test]
    fn an_error_of_writing_on_a_disk_without_room_is_a_full_disk() {
        let full = said(4874, Some(0)).unwrap();
        assert!(full.contains("the disk is full (0 KiB are free)"), "{full}");
        assert!(full.contains("64 MiB"), "{full}");
        assert!(said(FULL, None).is_some());
        assert_eq!(said(4874, Some(1 << 30)), None);
        assert_eq!(said(1, Some(0)), None);
    }

    #[tokio::test]
    async fn a_database_that_may_not_grow_is_full() {
        sqlx::any::install_default_drivers();
        let mut connection = AnyConnection::connect("sqlite::memory:").await.unwrap();
        let growing = "PRAGMA max_page_count = 2; CREATE TABLE t (a); INSERT INTO t VALUES (zeroblob(100000))";
        let error = sqlx::raw_sql(growing)
            .execute(&mut connection)
            .await
            .unwrap_err();
        let told = hint(&error);
        assert!(
            told.contains("the disk is full: make room for at least 64 MiB"),
            "{error}{told}"
        );
    }
}
