//! What is under `deploy/`: Node runs `tests/deploy` with the tools and the schemas of what uses it.

use std::path::Path;

use testkit::{
    machine::{leave_out, run_node_tests, tools},
    program,
};

#[tokio::test]
async fn the_package_for_debian_and_its_units_are_right() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let seedbed = program::seedbed();
    let variables = [
        ("DEPLOY_ROOT", root.as_path()),
        ("DEPLOY_SEEDBED", &seedbed),
    ];
    run_node_tests(&package, "package.test.js", variables).await;
}

#[tokio::test]
async fn what_makes_releases_is_right() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (seedbed, tools) = (program::seedbed(), tools("deploy"));
    if !tools.join("../actionlint/actionlint").exists() {
        leave_out(
            "actionlint, which checks the workflows",
            "install a Go, and call tests/run.sh deploy",
        );
    }
    let variables = [
        ("DEPLOY_ROOT", root.as_path()),
        ("DEPLOY_TOOLS", &tools),
        ("DEPLOY_SEEDBED", &seedbed),
    ];
    run_node_tests(&package, "release.test.js", variables).await;
}

#[tokio::test]
async fn the_chart_makes_what_the_manifests_make() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let tools = tools("deploy");
    let variables = [
        ("DEPLOY_ROOT", root.as_path()),
        ("DEPLOY_TOOLS", tools.as_path()),
    ];
    run_node_tests(&package, "chart.test.js", variables).await;
}

#[tokio::test]
async fn the_tools_that_would_use_what_is_under_deploy_accept_it() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let tools = tools("deploy");
    for tool in ["installed.json", "python/installed.txt"] {
        assert!(
            tools.join(tool).exists(),
            "{} is missing: tests/run.sh installs the tools that check deploy/",
            tools.join(tool).display()
        );
    }
    let seedbed = program::seedbed();
    let variables = [
        ("DEPLOY_ROOT", root.as_path()),
        ("DEPLOY_TOOLS", &tools),
        ("DEPLOY_SEEDBED", &seedbed),
    ];
    run_node_tests(&package, "deploy.test.js", variables).await;
    run_node_tests(&package, "monitoring.test.js", variables).await;
}
