//! What is under `deploy/`: Node runs `tests/deploy` with the tools and the schemas of whatever would use it.

use std::{path::Path, time::Duration};

use testkit::program;
use tokio::process::Command;

/// Longer than all tools together take.
const LIMIT: Duration = Duration::from_secs(300);

#[tokio::test]
async fn the_tools_that_would_use_what_is_under_deploy_accept_it() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let tools = root.join("target/test-tools/deploy");
    for tool in ["installed.json", "python/installed.txt"] {
        assert!(
            tools.join(tool).exists(),
            "{} is missing: tests/run.sh installs the tools that check deploy/",
            tools.join(tool).display()
        );
    }
    let mut node = Command::new("node");
    node.args(["--test", "--test-reporter=spec", "deploy.test.js"])
        .current_dir(&package)
        .env("DEPLOY_ROOT", &root)
        .env("DEPLOY_TOOLS", &tools)
        .env("DEPLOY_SEEDBED", program::seedbed())
        .kill_on_drop(true);
    let output = tokio::time::timeout(LIMIT, node.output()).await;
    let output = output.expect("the tools are done in time").unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
