//! Node runs `tests/containers`.

use std::path::Path;

use testkit::machine::{leave_out, run_node_tests, tools};

#[tokio::test]
async fn the_compose_file_runs_a_cluster_that_survives_a_killed_worker() {
    let folder = tools("containers");
    if !folder.join("containers").exists() {
        leave_out(
            "images and compose.yaml in containers",
            "tests/run.sh containers as root, with Go and the access to Debian's packages: a quarter of an hour of building, once",
        );
        return;
    }
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (root, tools) = (tests.join(".."), tools("deploy"));
    let variables = [
        ("DEPLOY_ROOT", root.as_path()),
        ("DEPLOY_TOOLS", tools.as_path()),
        ("CONTAINERS", folder.as_path()),
    ];
    run_node_tests(&tests.join("containers"), "containers.test.js", variables).await;
}
