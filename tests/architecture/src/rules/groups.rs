//! The groups of tests are the whole list: each folder in `tests/it` is a group that `tests/run.sh` knows, each test
//! lies in one, and a group's name in front of `::` selects that folder and nothing else.

use std::collections::BTreeSet;

use crate::{finding::Finding, tree::Tree};

const RULE: &str = "groups";

/// The script whose line `groups='..'` has the groups.
const SCRIPT: &str = "tests/run.sh";

/// Where the folders are.
const FOLDER: &str = "tests/it";

/// The group of the crates' own tests, which are not in the folder.
const UNIT: &str = "unit";

/// What is wrong with the groups.
pub fn groups(tree: &Tree) -> Vec<Finding> {
    let line = tree
        .text(SCRIPT)
        .unwrap_or_default()
        .lines()
        .find_map(|line| line.strip_prefix("groups="));
    let Some(line) = line else {
        return vec![Finding::new(
            RULE,
            SCRIPT,
            0,
            "has no line `groups='..'` with the names of all groups",
        )];
    };
    let names = line
        .trim_matches(['\'', '"', ' '])
        .split_whitespace()
        .filter(|name| *name != UNIT);
    let groups: BTreeSet<&str> = names.collect();
    let mut findings = Vec::new();
    let mut with_tests = BTreeSet::new();
    for (path, text) in tree.below(FOLDER).filter(|(path, _)| path.ends_with(".rs")) {
        let within = path
            .strip_prefix(FOLDER)
            .unwrap_or(path)
            .trim_start_matches('/');
        let modules: Vec<&str> = within.trim_end_matches(".rs").split('/').collect();
        let has_tests = text.lines().any(is_test);
        if has_tests && groups.contains(modules[0]) {
            with_tests.insert(modules[0]);
        } else if has_tests {
            let text = format!(
                "has tests, but `{}` is no group of {SCRIPT}: move them into a group's folder",
                modules[0]
            );
            findings.push(Finding::new(RULE, path, 0, text));
        }
        for module in &modules[1..] {
            if let Some(group) = groups.iter().find(|group| module.ends_with(*group)) {
                let text = format!(
                    "`-- {group}::` would select this module of `{}` as well: call `{module}` something else",
                    modules[0]
                );
                findings.push(Finding::new(RULE, path, 0, text));
            }
        }
    }
    for group in groups.difference(&with_tests) {
        let text = format!("`{group}` is a group without a test in {FOLDER}/{group}");
        findings.push(Finding::new(RULE, SCRIPT, 0, text));
    }
    findings
}

/// Whether a line is the attribute of a test, also within a macro.
fn is_test(line: &str) -> bool {
    let Some((_, attribute)) = line.split_once("#[") else {
        return false;
    };
    let name = attribute.split(['(', ']', ' ']).next().unwrap_or_default();
    name == "test" || name.ends_with("::test")
}
