//! Node, for tests and benchmarks that are written in JavaScript.

use std::{path::Path, time::Duration};

use tokio::process::Command;

use super::tools::node;

/// Longer than all tests of a package take.
const LIMIT: Duration = Duration::from_secs(600);

/// Runs a file of tests in `folder` with Node and these variables.
///
/// # Panics
/// When a test fails, or they are not done in time; shows what was printed.
pub async fn run_node_tests<const N: usize>(
    folder: &Path,
    file: &str,
    variables: [(&str, &Path); N],
) {
    let mut node = Command::new(node());
    node.args(["--test", "--test-reporter=spec", file])
        .current_dir(folder)
        .envs(variables)
        .kill_on_drop(true);
    let output = tokio::time::timeout(LIMIT, node.output()).await;
    let output = output.expect("the tests are done in time");
    let output = output.expect("Node can be started");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
