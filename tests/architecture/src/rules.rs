//! The rules, one a file. Each takes the tree and returns its findings; all of them run.

mod circles;
mod crates;
mod floors;
mod groups;
mod links;
mod modules;
mod sizes;

use crate::{
    code::{edges, parse},
    finding::Finding,
    floors::Crate,
    tree::Tree,
};

pub use groups::groups;
pub use links::links;
pub use sizes::{files, folders, readmes};

/// What is wrong with these crates: rooms that reach up, files that need each other, dependencies.
pub fn all(tree: &Tree, crates: &[Crate]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in crates {
        if tree.text(member.root).is_none() {
            let text = "is the root of a crate in the table of floors, and is not there";
            findings.push(Finding::new("modules", member.root, 0, text));
            continue;
        }
        let code = parse(tree, member.root);
        let edges = edges(&code);
        findings.extend(modules::modules(tree, member, &code));
        findings.extend(floors::floors(member, &code, &edges));
        findings.extend(circles::circles(member, &edges));
        findings.extend(crates::dependencies(tree, member));
    }
    findings.sort();
    findings.dedup();
    findings
}
