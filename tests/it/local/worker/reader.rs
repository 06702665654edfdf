//! Reads snapshots with another SQLite than the built-in one: Debian's program `sqlite3`.

use std::{path::Path, process::Command};

/// What another SQLite than ours says.
pub(super) fn sqlite3(file: &Path, sql: &str) -> String {
    let output = Command::new("sqlite3")
        .arg("-readonly")
        .arg(file)
        .arg(sql)
        .output();
    let output = output.expect("Debian's package sqlite3 is installed");
    assert!(
        output.status.success(),
        "{sql}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
