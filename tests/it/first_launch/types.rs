//! What the packages say twice, or copy from elsewhere, is the same: their types, versions, and the steps of finishing.

use std::{path::Path, process::Command};

use serde_json::{Value, json};
use testkit::machine::{assert_same_types, node};

use super::support::run;

/// The packages whose types are made of their JavaScript.
const PACKAGES: [&str; 2] = ["deploy/clients/core-js", "deploy/clients/node"];

/// What is only checked.
const CHECKED: [&str; 1] = ["tests/client/tsconfig.react-native.json"];

#[tokio::test]
async fn the_clients_have_no_type_errors() {
    for project in PACKAGES.iter().chain(&CHECKED) {
        let tsc = "node_modules/typescript/bin/tsc";
        run(&[&node(), tsc, "--project", project], &Value::Null).await;
    }
    for package in PACKAGES {
        assert_same_types(package);
    }
}

#[test]
fn the_clients_finish_by_the_steps_of_the_protocol() {
    let module = repository("deploy/clients/core-js/database/finishes.js");
    let script = format!(
        "const {{ FINISHES, FINISH }} = await import({module:?}); console.log(JSON.stringify([FINISHES, FINISH]))"
    );
    let node = Command::new(node())
        .args(["--input-type=module", "--eval", &script])
        .output();
    let printed = node.expect("Node runs").stdout;
    let of_clients: Value = serde_json::from_slice(&printed).expect("Node prints JSON");
    let of_protocol: Value = serde_json::from_str(&read("protocol/finish/v1.json")).unwrap();
    assert_eq!(of_clients, json!([{ "1": of_protocol }, 1]));
}

#[test]
fn the_clients_name_the_version_of_their_package() {
    for (package, file) in [("node", "index.js"), ("react-native", "open.ts")] {
        let manifest = read(&format!("deploy/clients/{package}/package.json"));
        let manifest: Value = serde_json::from_str(&manifest).unwrap();
        let line = format!(
            "const VERSION = '{}';",
            manifest["version"].as_str().unwrap()
        );
        let source = read(&format!("deploy/clients/{package}/{file}"));
        assert!(source.contains(&line), "{package}/{file} has no {line}");
    }
}

fn repository(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.join(path).display().to_string()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(repository(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}
