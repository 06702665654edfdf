//! What is in `deploy/`, checked by the tools that `tests/run.sh` installs: without Docker and without Kubernetes.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn workspace() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap().to_owned()
}

fn tool(name: &str) -> PathBuf {
    workspace().join("target/test-tools/deploy").join(name)
}

/// Runs a tool in the workspace.
fn run(program: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(workspace());
    let output = command.output();
    output.unwrap_or_else(|e| panic!("{}: {e}; tests/run.sh installs it", program.display()))
}

fn assert_accepts(program: &Path, arguments: &[&str]) -> Output {
    let output = run(program, arguments);
    assert!(
        output.status.success(),
        "{} {arguments:?}:\n{}{}",
        program.display(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

fn check(arguments: &[&str]) {
    let arguments = [&["tests/deploy/check.py"], arguments].concat();
    assert_accepts(&tool("python/bin/python"), &arguments);
}

#[test]
fn the_dockerfile_and_the_scripts_have_no_known_faults() {
    let dockerfile = ["--failure-threshold", "style", "deploy/Dockerfile"];
    assert_accepts(&tool("python/bin/hadolint"), &dockerfile);
    let scripts = [
        ".ci/run",
        "deploy/demo.sh",
        "deploy/healthcheck.sh",
        "deploy/install.sh",
        "tests/run.sh",
    ];
    assert_accepts(&tool("python/bin/shellcheck"), &scripts);
}

#[test]
fn the_compose_file_and_the_files_that_it_mounts_are_what_their_readers_expect() {
    let schema = tool("python/bin/check-jsonschema");
    let compose = [
        "--builtin-schema",
        "vendor.compose-spec",
        "deploy/compose.yaml",
    ];
    assert_accepts(&schema, &compose);
    check(&["compose", "deploy/compose.yaml"]);
    let powersync = tool("powersync/package/json-schema/powersync-config.json");
    let powersync = ["--schemafile", powersync.to_str().unwrap()];
    let powersync = [&powersync[..], &["deploy/compose/powersync.yaml"]].concat();
    assert_accepts(&schema, &powersync);
}

#[test]
fn the_manifests_fit_the_schemas_of_kubernetes_keda_and_the_prometheus_operator() {
    let kustomize = tool("kustomize");
    if !kustomize.exists() {
        eprintln!("SKIPPED: there is no kustomize, since there is no Go to install it with");
        return;
    }
    let overlay = "deploy/kubernetes/overlays/example";
    let built = assert_accepts(&kustomize, &["build", overlay]);
    let manifests = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&manifests, built.stdout).unwrap();
    let crds = tool("crds");
    let (crds, manifests) = (crds.to_str().unwrap(), manifests.path().to_str().unwrap());
    check(&["kubernetes", crds, manifests]);
}

#[test]
fn every_expression_of_alerts_and_dashboard_is_promql() {
    let base = "deploy/kubernetes/base";
    let files = ["monitoring.yaml", "grafana-dashboard.json"].map(|name| format!("{base}/{name}"));
    check(&["rules", &files[0], &files[1]]);
}

/// The settings that compose and Kubernetes mount are settings of the programs.
#[tokio::test]
async fn the_settings_files_are_read_as_they_are_meant() {
    for (file, overridden) in [
        ("compose/seedbed.toml", "snapshots.url"),
        ("kubernetes/base/seedbed.toml", "worker.grace"),
        ("kubernetes/overlays/example/seedbed.toml", "worker.grace"),
    ] {
        let path = workspace().join("deploy").join(file);
        let mut program = testkit::program::Program::new(testkit::pipeline::Access {
            endpoint: "http://127.0.0.1:9".to_owned(),
            secret: "c2VjcmV0".to_owned(),
            kid: "seedbed".to_owned(),
        });
        program.set_variable("SEEDBED_CONFIG", path.to_str().unwrap());
        let shown = program.run(&["config", "--json"]).await;
        assert_eq!(shown.code, Some(0), "{file}: {shown}");
        let mut lines = shown.output.lines();
        let line = lines.find(|line| line.contains(&format!("\"{overridden}\"")));
        let line = line.unwrap_or_else(|| panic!("{file}: {shown}"));
        assert!(line.contains("seedbed.toml"), "{line}");
    }
}
