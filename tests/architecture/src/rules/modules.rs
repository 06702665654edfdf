//! Every file belongs to a crate: a `mod` line leads to it.

use crate::{code::Code, finding::Finding, floors::Crate, tree::Tree};

/// Files that are roots of their own next to a crate's root.
const OTHER_ROOTS: [&str; 2] = ["main.rs", "build.rs"];

pub(super) fn modules(tree: &Tree, member: &Crate, code: &Code) -> Vec<Finding> {
    let mut findings = code.findings.clone();
    let known = code.files();
    for (path, _) in tree.below(member.sources()) {
        let is_other_root = OTHER_ROOTS
            .iter()
            .any(|name| member.within(path) == Some(name));
        if path.ends_with(".rs")
            && !is_other_root
            && !known.contains(path)
            && !code.test_files.contains(path)
        {
            let text = "no `mod` line leads to it: name it in the face of its folder, or remove it";
            findings.push(Finding::new("modules", path, 0, text));
        }
    }
    findings
}
