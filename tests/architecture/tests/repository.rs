//! This repository keeps the rules. `SEEDBED_HOUSE` names another work tree to check.

use std::path::PathBuf;

use seedbed_architecture::{finding::Finding, floors::CRATES, rules, tree::Tree};

fn tree() -> Tree {
    let own = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let root = std::env::var_os("SEEDBED_HOUSE").map_or(own, PathBuf::from);
    Tree::read(&root).expect("git lists the files of the work tree")
}

fn assert_none(findings: &[Finding]) {
    let told: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(
        told.is_empty(),
        "{} findings\n{}",
        told.len(),
        told.join("\n")
    );
}

#[test]
fn rooms_use_lower_floors_only_and_no_two_files_need_each_other() {
    assert_none(&rules::all(&tree(), CRATES));
}

#[test]
fn no_folder_has_more_than_12_source_files() {
    assert_none(&rules::folders(&tree()));
}

#[test]
fn no_file_is_longer_than_400_lines_without_a_reason() {
    assert_none(&rules::files(&tree()));
}

#[test]
fn every_part_has_a_readme_and_the_first_one_is_short() {
    assert_none(&rules::readmes(&tree()));
}

#[test]
fn links_lead_to_files_and_headings_that_exist() {
    assert_none(&rules::links(&tree()));
}

#[test]
fn the_groups_of_tests_are_the_whole_list() {
    assert_none(&rules::groups(&tree()));
}
