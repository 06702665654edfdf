//! Rooms that use what stands above them, however they write it.

use crate::support::{assert_found, house_with};

/// `code` in the room `middle`, in line 2, uses the room `high`.
fn climbs(code: &str) {
    let file = format!("pub struct Shared;\n{code}\n");
    let findings = house_with(&[("house/src/middle/shared.rs", &file)]);
    let floors: Vec<_> = findings
        .into_iter()
        // Where `high` uses `middle`, the two need each other as well.
        .filter(|finding| finding.rule != "circles")
        .collect();
    let words = ["`middle` (floor 2)", "`high` (floor 3)"];
    assert_found(&floors, "floors", "house/src/middle/shared.rs:2", &words);
}

#[test]
fn a_house_that_keeps_the_rules_has_no_finding() {
    assert_eq!(house_with(&[]), []);
}

#[test]
fn an_import_climbs() {
    climbs("use crate::high::High;");
    climbs("use crate::{low::low, high::{self, High}};");
    climbs("use crate::high as other;");
    climbs("use crate::high::*;");
}

#[test]
fn an_import_through_the_parent_of_the_parent_climbs() {
    climbs("use super::super::high::High;");
    climbs("use self::super::super::high;");
}

#[test]
fn an_inline_path_climbs() {
    climbs("fn f() { crate::high::high() }");
    climbs("fn f(high: &crate::high::High) {}");
    climbs("fn f<T: Into<crate::high::High>>() {}");
    climbs("fn f(x: u8) { match x { crate::high::LIMIT => {} _ => {} } }");
    climbs("impl Clone for crate::high::High {}");
    climbs("fn f() { use crate::high; }");
}

#[test]
fn a_reexport_climbs_and_so_does_what_is_found_through_one() {
    climbs("pub use crate::high::High;");
    climbs("pub(crate) use crate::high::High as Other;");
    climbs("use crate::High;");
}

#[test]
fn a_path_in_a_macro_climbs() {
    climbs("fn f() { println!(\"{}\", crate::high::high()); }");
    climbs("fn f() { let x = vec![(1, super::super::high::high())]; }");
    climbs("macro_rules! m { ($x:expr) => { $crate::high::high($x) }; }");
    climbs("some::macro_of_items! { use crate::{high::{High}}; }");
    climbs("fn f() { crate::high::call!(); }");
}

#[test]
fn a_path_in_an_attribute_climbs() {
    climbs("struct S { #[serde(with = \"crate::high::text\")] field: u8 }");
    climbs("#[derive(crate::high::Derive)] struct S;");
}

#[test]
fn code_for_tests_and_documentation_may_climb() {
    for code in [
        "#[cfg(test)] mod tests { use crate::high::High; }",
        "#[cfg(test)] use crate::high::High;",
        "#[cfg(all(test, unix))] fn f() { crate::high::high() }",
        "/// See [`crate::high::High`].\npub struct Documented;",
        "pub(in crate::middle) struct Visible;",
    ] {
        let file = format!("pub struct Shared;\n{code}\n");
        assert_eq!(house_with(&[("house/src/middle/shared.rs", &file)]), []);
    }
    let with_tests = [
        (
            "house/src/low.rs",
            "pub fn low() {}\n#[cfg(test)]\nmod tests;\n",
        ),
        ("house/src/low/tests.rs", "use crate::high::High;\n"),
    ];
    assert_eq!(house_with(&with_tests), []);
}

#[test]
fn a_detour_through_a_higher_room_climbs_although_it_ends_below() {
    let findings = house_with(&[
        (
            "house/src/high.rs",
            "pub use crate::low::low;\npub struct High;\n",
        ),
        (
            "house/src/middle/shared.rs",
            "use crate::high::low;\npub struct Shared;\n",
        ),
    ]);
    let place = "house/src/middle/shared.rs:1";
    assert_found(&findings, "floors", place, &["`high` (floor 3)"]);
}

#[test]
fn rooms_of_one_floor_do_not_use_each_other_and_the_root_has_nothing_to_use() {
    let findings = house_with(&[
        (
            "house/src/lib.rs",
            "mod low;\nmod middle;\npub mod high;\npub struct Root;\n",
        ),
        ("house/src/low.rs", "pub fn low(root: crate::Root) {}\n"),
    ]);
    assert_found(
        &findings,
        "floors",
        "house/src/low.rs:1",
        &["the crate's root"],
    );
}

#[test]
fn a_room_without_a_floor_and_a_floor_without_its_room_are_named() {
    let root = "mod attic;\nmod low;\nmod middle;\nmod high;\n";
    let findings = house_with(&[("house/src/lib.rs", root), ("house/src/attic.rs", "")]);
    assert_found(&findings, "floors", "house/src/lib.rs", &["`attic`"]);
    let root = "mod middle;\nmod high;\n";
    let findings = house_with(&[("house/src/lib.rs", root)]);
    let told: Vec<_> = findings.iter().map(ToString::to_string).collect();
    assert!(
        told.iter()
            .any(|text| text.contains("there is no room `low`")),
        "{told:#?}"
    );
    assert!(
        told.iter()
            .any(|text| text.starts_with("house/src/low.rs: [modules]")),
        "{told:#?}"
    );
}

#[test]
fn a_dependency_on_a_crate_above_is_named() {
    let manifest =
        "[package]\nname = \"house\"\n[dependencies]\nseedbed-above = { path = \"../above\" }\n";
    let findings = house_with(&[("house/Cargo.toml", manifest)]);
    assert_found(
        &findings,
        "crates",
        "house/Cargo.toml:4",
        &["seedbed-above"],
    );
    let manifest = "[package]\nname = \"house\"\n[dev-dependencies.seedbed-above]\n";
    let findings = house_with(&[("house/Cargo.toml", manifest)]);
    assert_found(
        &findings,
        "crates",
        "house/Cargo.toml:3",
        &["seedbed-above"],
    );
}
