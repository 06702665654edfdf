//! The packages' types: those that apps get are made of the code, and the SDKs have the same.

use serde_json::Value;
use testkit::machine::node;

use super::support::{assert_same_types, run};

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
