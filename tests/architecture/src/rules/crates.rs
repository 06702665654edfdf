//! A crate depends on those below it.

use crate::{finding::Finding, floors::Crate, tree::Tree};

/// What the packages of this workspace are called.
const OURS: &str = "seedbed";

pub(super) fn dependencies(tree: &Tree, member: &Crate) -> Vec<Finding> {
    let manifest = format!("{}/Cargo.toml", member.folder);
    let Some(text) = tree.text(&manifest) else {
        return vec![Finding::new("crates", &manifest, 0, "is missing")];
    };
    let mut in_dependencies = false;
    let mut findings = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let mut name = line.split(['.', '=', ' ']).next().unwrap_or_default();
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(']');
            let (kind, dependency) = section
                .rsplit_once("dependencies.")
                .unwrap_or((section, ""));
            in_dependencies = kind.ends_with("dependencies");
            name = dependency;
        } else if !in_dependencies {
            continue;
        }
        if name.starts_with(OURS) && !member.may_use.contains(&name) {
            let text = format!(
                "`{name}` stands above or beside this crate, which may use {:?} only",
                member.may_use
            );
            findings.push(Finding::new("crates", &manifest, number + 1, text));
        }
    }
    findings
}
