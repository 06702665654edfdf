//! Programs that are run where the packages are.

use std::{process::Stdio, time::Duration};

use serde_json::Value;
use tempfile::NamedTempFile;
use testkit::machine::client_packages;
use tokio::process::Command;

/// Longer than all tests of a file take, on a machine that has other things to do as well.
const LIMIT: Duration = Duration::from_secs(300);

/// Runs a program where the packages are, and shows what it prints when it fails.
pub(in super::super) async fn run(command: &[&str], set_up: &Value) {
    let (program, arguments) = command.split_first().expect("there is a program");
    let printed = NamedTempFile::new().expect("a temporary file can be made");
    // One offset for both, so that neither writes over the other.
    let open = || printed.as_file().try_clone().expect("the file is there");
    let child = Command::new(program)
        .args(arguments)
        .current_dir(client_packages())
        .env("SEEDBED_CLIENT_TESTS", set_up.to_string())
        .stdin(Stdio::null())
        .stdout(open())
        .stderr(open())
        .kill_on_drop(true)
        .spawn();
    let mut child = child.unwrap_or_else(|e| panic!("cannot run {program}: {e}"));
    let ended = tokio::time::timeout(LIMIT, child.wait()).await;
    let printed = std::fs::read_to_string(&printed).expect("the file is there");
    let status = ended.unwrap_or_else(|_| panic!("not in time:\n{printed}"));
    assert!(status.expect("it is a child").success(), "{printed}");
}
