//! A crate of three rooms, `low` < `middle` < `high`, that keeps every rule until a test changes a file.

use seedbed_architecture::{finding::Finding, floors::Crate, rules, tree::Tree};

const HOUSE: Crate = Crate {
    folder: "house",
    root: "house/src/lib.rs",
    floors: &["low", "middle", "high"],
    may_use: &["seedbed-below"],
};

const FILES: [(&str, &str); 8] = [
    (
        "house/Cargo.toml",
        "[package]\nname = \"house\"\n[dependencies]\nseedbed-below.workspace = true\n",
    ),
    (
        "house/src/lib.rs",
        "mod low;\nmod middle;\npub mod high;\npub use high::High;\n",
    ),
    ("house/src/low.rs", "pub fn low() {}\n"),
    (
        "house/src/middle.rs",
        "mod a;\nmod b;\nmod shared;\npub use a::A;\npub use b::B;\npub(crate) use shared::Shared;\n",
    ),
    (
        "house/src/middle/a.rs",
        "use super::Shared;\npub struct A(Shared);\n#[cfg(test)]\nmod tests { use crate::high::High; }\n",
    ),
    (
        "house/src/middle/b.rs",
        "pub struct B(crate::middle::A, super::shared::Shared);\n",
    ),
    ("house/src/middle/shared.rs", "pub struct Shared;\n"),
    (
        "house/src/high.rs",
        "use crate::{low::low, middle::{A, B}};\npub struct High(A, B);\nfn high() { low() }\n",
    ),
];

/// What is found in the house when these files are added to it, or replaced.
pub(crate) fn house_with(changed: &[(&str, &str)]) -> Vec<Finding> {
    let changed = changed.iter().copied();
    rules::all(&Tree::of(FILES.into_iter().chain(changed)), &[HOUSE])
}

/// There is one finding, of this rule, in this line, and it has these words.
pub(crate) fn assert_found(findings: &[Finding], rule: &str, place: &str, words: &[&str]) {
    let told: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(
        told[0].starts_with(&format!("{place}: [{rule}]")),
        "{}",
        told[0]
    );
    for word in words {
        assert!(told[0].contains(word), "{word} in {}", told[0]);
    }
}
