//! What the packages say twice, or copy from elsewhere, is the same: their types, versions, and the steps of finishing.

use std::{path::Path, process::Command};

use serde_json::{Value, json};
use testkit::machine::{assert_same_types, node};

use super::support::run;

/// The packages whose types are made of their JavaScript.
const PACKAGES: [&str; 4] = [
    "deploy/clients/core-js",
    "deploy/clients/node",
    "deploy/clients/web",
    "deploy/clients/capacitor",
];

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
    let text = read("protocol/finish/v1.json");
    let of_protocol: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(of_clients, json!([{ "1": of_protocol }, 1]));
    for copy in [
        "kotlin/src/main/resources/seedbed/client/finish-v1.json",
        "dotnet/finish-v1.json",
    ] {
        let copied = read(&format!("deploy/clients/{copy}"));
        assert_eq!(
            copied, text,
            "deploy/clients/{copy} is no copy of protocol/finish/v1.json"
        );
    }
    // These have it in their source, as it is.
    for copy in [
        "flutter/lib/src/database/finish_v1.dart",
        "swift/Sources/SeedbedClient/Database/FinishV1.swift",
    ] {
        assert!(
            read(&format!("deploy/clients/{copy}")).contains(&format!("\"\"\"\n{text}\"\"\"")),
            "deploy/clients/{copy} is no copy of protocol/finish/v1.json"
        );
    }
}

/// Packages without JavaScript: the file that names the version, what is before it, and the same of the manifest.
const NAMED: [(&str, &str, &str, &str); 3] = [
    (
        "dotnet/src/Report.cs",
        "Version = \"",
        "dotnet/Seedbed.Client.csproj",
        "<Version>",
    ),
    // Swift packages have their version as a tag, and in their list of changes.
    (
        "swift/Sources/SeedbedClient/Report.swift",
        "version = \"",
        "swift/CHANGELOG.md",
        "## ",
    ),
    (
        "flutter/lib/src/report.dart",
        "version = '",
        "flutter/pubspec.yaml",
        "version: ",
    ),
];

/// Each is copied into apps without the rest of the repository.
#[test]
fn the_packages_bring_a_licence_a_readme_and_their_changes() {
    let licence = read("LICENSE");
    let folders = std::fs::read_dir(repository("deploy/clients")).expect("it is there");
    let packages = folders.filter_map(|entry| {
        let path = entry.expect("a folder").path();
        path.is_dir().then_some(path)
    });
    let packages: Vec<_> = packages.collect();
    assert!(packages.len() >= 10, "{packages:?}");
    for package in packages {
        let file = |name: &str| std::fs::read_to_string(package.join(name)).unwrap_or_default();
        let name = package.display();
        assert!(file("LICENSE") == licence, "{name} has no copy of LICENSE");
        for needed in ["README.md", "CHANGELOG.md"] {
            assert!(file(needed).starts_with("# "), "{name} has no {needed}");
        }
    }
}

#[test]
fn the_packages_without_javascript_name_their_version() {
    for (source, before, manifest, mark) in NAMED {
        let version = |file: &str, before: &str| {
            let text = read(&format!("deploy/clients/{file}"));
            let (_, after) = text.split_once(before).expect("it names a version");
            let end = |c: char| c != '.' && !c.is_ascii_digit();
            after.split(end).next().unwrap().to_owned()
        };
        let named = version(source, before);
        assert_eq!(named, version(manifest, mark), "{source} and {manifest}");
        assert!(named.split('.').count() == 3, "{source}");
    }
}

#[test]
fn the_clients_name_the_version_of_their_package() {
    for (package, file) in [
        ("node", "index.js"),
        ("react-native", "open.ts"),
        ("web", "index.js"),
        ("capacitor", "index.js"),
    ] {
        let manifest = read(&format!("deploy/clients/{package}/package.json"));
        let manifest: Value = serde_json::from_str(&manifest).unwrap();
        let line = format!(
            "const VERSION = '{}';",
            manifest["version"].as_str().unwrap()
        );
        let source = read(&format!("deploy/clients/{package}/{file}"));
        assert!(source.contains(&line), "{package}/{file} has no {line}");
    }
    let source = read("deploy/clients/kotlin/src/main/kotlin/Report.kt");
    let (_, version) = source.split_once("VERSION = \"").unwrap();
    let version = version.split('"').next().unwrap();
    for manifest in ["deploy/clients/kotlin", "tests/clients/kotlin/driver"] {
        let line = format!(
            "<artifactId>seedbed-client-kotlin</artifactId>\n{{}}<version>{version}</version>"
        );
        let indents = ["  ", "      "].map(|indent| line.replace("{}", indent));
        let manifest_text = read(&format!("{manifest}/pom.xml"));
        assert!(
            indents.iter().any(|line| manifest_text.contains(line)),
            "{manifest}/pom.xml is not of version {version}"
        );
    }
}

fn repository(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.join(path).display().to_string()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(repository(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}
