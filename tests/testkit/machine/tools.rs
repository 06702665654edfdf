//! Finds what `tests/run.sh` installed below `target/test-tools`, and reports what a test leaves out.

use std::{
    fs::OpenOptions,
    io::Write,
    path::{Path, PathBuf},
};

/// A path below the folder in which `tests/run.sh` installs what tests need.
pub fn tools(path: impl AsRef<Path>) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../target/test-tools")
        .join(path)
}

/// The one Node of all tests, which has the `node:sqlite` that PowerSync's SDK can use. Never the machine's own: that
/// may be too old for Playwright.
///
/// # Panics
/// When it is not installed.
pub fn node() -> String {
    let node = tools("bin/node");
    assert!(
        node.exists(),
        "Node is not installed; tests/run.sh does it for the groups that need it"
    );
    node.display().to_string()
}

/// Notes that a test leaves `what` out, and what would make it run. `tests/run.sh` lists all of these at its end.
pub fn leave_out(what: &str, remedy: &str) {
    eprintln!("left out: {what}; to run it: {remedy}");
    let Some(list) = std::env::var_os("SEEDBED_TESTS_SKIPPED") else {
        return;
    };
    let list = OpenOptions::new().append(true).create(true).open(list);
    // In one write: other tests append at the same time.
    let line = format!("{what}\t{remedy}\n");
    let written = list.and_then(|mut list| list.write_all(line.as_bytes()));
    written.expect("tests/run.sh made the list's folder");
}
