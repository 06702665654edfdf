//! `seedbed schema --from` reads an app's source, and makes of it what the real SDK makes when the app runs.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;
use testkit::{
    machine::{client_packages, node},
    program::seedbed,
};

fn source(name: &str) -> PathBuf {
    Path::new("tests/client").join(name)
}

fn schema(from: &Path) -> Output {
    let mut seedbed = Command::new(seedbed());
    let output = seedbed.args(["schema", "--from"]).arg(from).output();
    output.expect("seedbed can be started")
}

/// What the SDK prints of the `schema` that a module exports.
fn printed_by_the_sdk(module: &Path) -> String {
    let module = client_packages().join(module);
    let script = format!(
        "const {{ schema }} = await import({:?}); schema.validate(); console.log(JSON.stringify(schema))",
        module.display().to_string()
    );
    let printed = Command::new(node())
        .args(["--no-warnings", "--input-type=module", "--eval", &script])
        .current_dir(client_packages())
        .output()
        .expect("Node can be started");
    assert!(printed.status.success(), "{printed:?}");
    String::from_utf8(printed.stdout).expect("Node prints text")
}

#[test]
fn the_schema_of_an_app_is_read_as_the_sdk_makes_it() {
    for name in [
        "app-schemas/current.ts",
        "app-schemas/older.js",
        "schema.js",
    ] {
        let module = source(name);
        let by_sdk: Value = serde_json::from_str(&printed_by_the_sdk(&module)).expect("it is JSON");
        let read = schema(&client_packages().join(&module));
        let error = String::from_utf8_lossy(&read.stderr);
        assert!(read.status.success(), "{name}: {error}");
        let read: Value = serde_json::from_slice(&read.stdout).expect("it is JSON");
        assert_eq!(read, by_sdk, "{name}");
        let has_raw = by_sdk["raw_tables"]
            .as_array()
            .is_some_and(|raw| !raw.is_empty());
        assert_eq!(error.contains("CREATE TABLE"), has_raw, "{name}: {error}");
    }
}

#[test]
fn what_the_sdk_prints_is_taken_as_it_is() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let printed = printed_by_the_sdk(&source("schema.js"));
    let file = directory.path().join("schema.json");
    std::fs::write(&file, &printed).expect("the directory is writable");
    let read = schema(&file);
    let read: Value = serde_json::from_slice(&read.stdout).expect("it is JSON");
    assert_eq!(
        read,
        serde_json::from_str::<Value>(&printed).expect("it is JSON")
    );
}
