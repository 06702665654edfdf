//! How large things get: files in a folder, lines in a file, lines in the README.

use std::collections::BTreeMap;

use crate::{finding::Finding, tree::Tree};

/// The most source files in a folder.
const FILES: usize = 12;

/// The most lines of a file that does not say why it is long.
const LINES: usize = 400;

/// What starts the reason why a file is long, among its first lines.
const REASON: &str = "//! Long: ";

/// Where a reason is looked for.
const FIRST_LINES: usize = 20;

/// The most lines of the README, which is for users.
const README_LINES: usize = 250;

/// Folders that have a README of their own.
const WITH_README: [&str; 5] = ["protocol", "worker", "coordinator", "deploy", "tests"];

/// Ends of the names of source files. Migrations are data that only ever grows.
const SOURCES: [&str; 14] = [
    ".rs", ".js", ".mjs", ".ts", ".tsx", ".sh", ".py", ".css", ".html", ".kt", ".swift", ".dart",
    ".go", ".java",
];

/// Folders with more than 12 source files.
pub fn folders(tree: &Tree) -> Vec<Finding> {
    let mut counts = BTreeMap::new();
    for (path, _) in tree
        .files()
        .filter(|(path, _)| SOURCES.iter().any(|end| path.ends_with(end)))
    {
        *counts
            .entry(path.rsplit_once('/').map_or(".", |(folder, _)| folder))
            .or_insert(0) += 1;
    }
    let crowded = counts.into_iter().filter(|(_, count)| *count > FILES);
    let told = crowded.map(|(folder, count)| {
        let text = format!("has {count} source files; more than {FILES} hide each other: make a folder of those that belong together");
        Finding::new("folders", folder, 0, text)
    });
    told.collect()
}

/// Rust files with more than 400 lines and no reason.
pub fn files(tree: &Tree) -> Vec<Finding> {
    let long = tree.files().filter(|(path, text)| {
        let has_reason = || {
            text.lines()
                .take(FIRST_LINES)
                .any(|line| line.starts_with(REASON))
        };
        path.ends_with(".rs") && text.lines().count() > LINES && !has_reason()
    });
    let told = long.map(|(path, text)| {
        let lines = text.lines().count();
        let text = format!("has {lines} lines, more than {LINES}: split it, or say why it reads better whole in a line `{REASON}..` at its top");
        Finding::new("files", path, 0, text)
    });
    told.collect()
}

/// A README that is missing or too long.
pub fn readmes(tree: &Tree) -> Vec<Finding> {
    let missing = WITH_README
        .iter()
        .map(|folder| format!("{folder}/README.md"));
    let missing = missing
        .chain(["README.md".to_owned()])
        .filter(|path| tree.text(path).is_none());
    let mut findings: Vec<_> = missing
        .map(|path| Finding::new("readmes", &path, 0, "is missing"))
        .collect();
    let lines = tree
        .text("README.md")
        .map_or(0, |text| text.lines().count());
    if lines > README_LINES {
        let text = format!(
            "has {lines} lines, more than {README_LINES}: what users do not need first goes beside what it describes"
        );
        findings.push(Finding::new("readmes", "README.md", 0, text));
    }
    findings
}
