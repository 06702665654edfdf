//! Crowded folders, long files, long or missing READMEs, and tests outside the groups.

use seedbed_architecture::{rules, tree::Tree};

use crate::support::assert_found;

#[test]
fn the_thirteenth_source_file_of_a_folder_is_one_too_many() {
    for end in ["rs", "js", "sh"] {
        let names: Vec<String> = (1..=13).map(|n| format!("src/{n}.{end}")).collect();
        let tree = |count| {
            Tree::of(
                names[..count]
                    .iter()
                    .map(|n| (n.as_str(), ""))
                    .chain([("src/a.sql", "")]),
            )
        };
        assert_eq!(rules::folders(&tree(12)), []);
        assert_found(
            &rules::folders(&tree(13)),
            "folders",
            "src",
            &["has 13 source files"],
        );
    }
}

#[test]
fn the_401st_line_of_a_file_needs_a_reason() {
    let lines = "//\n".repeat(399);
    let long = format!("//! A file.\n{lines}//\n");
    let with_reason = format!("//! A file.\n//!\n//! Long: it reads better whole.\n{lines}");
    let short = format!("//! A file.\n{lines}");
    assert_eq!(
        rules::files(&Tree::of([
            ("a.rs", with_reason.as_str()),
            ("b.rs", &short)
        ])),
        []
    );
    let findings = rules::files(&Tree::of([("a.rs", long.as_str())]));
    assert_found(&findings, "files", "a.rs", &["401 lines"]);
}

#[test]
fn a_readme_is_missing_or_too_long() {
    let folders = ["protocol", "worker", "coordinator", "deploy", "tests"];
    let names: Vec<String> = folders
        .iter()
        .map(|folder| format!("{folder}/README.md"))
        .collect();
    let long = "\n".repeat(251);
    let tree = |folders: &[String], text: &str| {
        let folders = folders.iter().map(|name| (name.as_str(), ""));
        rules::readmes(&Tree::of(folders.chain([("README.md", text)])))
    };
    assert_eq!(tree(&names, "\n"), []);
    assert_found(
        &tree(&names[1..], "\n"),
        "readmes",
        "protocol/README.md",
        &["missing"],
    );
    assert_found(&tree(&names, &long), "readmes", "README.md", &["251 lines"]);
}

#[test]
fn tests_lie_in_groups_that_the_script_knows() {
    let script = ("tests/run.sh", "#!/bin/sh\ngroups='unit local stores'\n");
    let local = ("tests/it/local/a.rs", "#[tokio::test(flavor = \"x\")]\n");
    let stores = (
        "tests/it/stores.rs",
        "macro_rules! on { () => {$(#[tokio::test]\nasync fn",
    );
    let groups = |more: &[(&str, &str)]| {
        let files = [script, local, stores].into_iter();
        rules::groups(&Tree::of(files.chain(more.iter().copied())))
    };
    assert_eq!(groups(&[("tests/it/main.rs", "mod local;\n")]), []);
    let findings = groups(&[("tests/it/extra/a.rs", "    #[test]\n")]);
    assert_found(
        &findings,
        "groups",
        "tests/it/extra/a.rs",
        &["`extra` is no group"],
    );
    let findings = groups(&[("tests/it/main.rs", "#[test]\n")]);
    assert_found(
        &findings,
        "groups",
        "tests/it/main.rs",
        &["`main` is no group"],
    );
    let findings = groups(&[("tests/it/local/key_stores/a.rs", "")]);
    assert_found(
        &findings,
        "groups",
        "tests/it/local/key_stores/a.rs",
        &["would select"],
    );
    let script = [("tests/run.sh", "groups='unit local stores traces'\n")];
    assert_found(
        &groups(&script),
        "groups",
        "tests/run.sh",
        &["`traces` is a group without a test"],
    );
    assert_found(
        &rules::groups(&Tree::of([local])),
        "groups",
        "tests/run.sh",
        &["groups='..'"],
    );
}
