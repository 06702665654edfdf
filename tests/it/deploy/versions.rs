//! The README's table of what Seedbed works with names the versions that are compiled in and tested.

use std::{fs, path::Path};

use serde_json::Value;

#[test]
fn the_readme_names_the_versions_that_are_tested() {
    let readme = read("README.md");
    let (_, table) = readme
        .split_once("## What it works with")
        .expect("the README has that section");
    let manifest = read("Cargo.toml");
    let rust = between(&manifest, "rust-version = \"", "\"");
    let core = between(&manifest, "powersync_core = { version = \"=", "\"");
    let mut named = vec![format!("Rust {rust}"), format!("core extension {core}")];
    let clients: Value = serde_json::from_str(&read("tests/client/package.json")).expect("JSON");
    for package in ["node", "web", "react-native", "capacitor"] {
        let name = format!("@powersync/{package}");
        let version = clients["devDependencies"][&name].as_str();
        let version = version.expect("the tests have that SDK");
        let (minor, _) = version.rsplit_once('.').expect("it has three parts");
        named.push(format!("`{name}` {minor}"));
    }
    for version in named {
        assert!(
            table.contains(&version),
            "README.md, What it works with: {version} is what is tested, and not named"
        );
    }
}

fn between<'a>(text: &'a str, before: &str, end: &str) -> &'a str {
    let (_, after) = text.split_once(before).expect("it is in the manifest");
    after.split(end).next().expect("it ends")
}

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    fs::read_to_string(root.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}
