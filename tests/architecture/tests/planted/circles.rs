//! Files that need each other, at any depth.

use crate::support::{assert_found, house_with};

#[test]
fn two_files_of_a_folder_that_need_each_other_are_found() {
    let findings = house_with(&[(
        "house/src/middle/a.rs",
        "use super::b::B;\npub struct A(Box<B>);\n",
    )]);
    let words = [
        "house/src/middle, a, b need each other",
        "super::b::B",
        "crate::middle::A",
    ];
    assert_found(&findings, "circles", "house/src/middle/a.rs:1", &words);
}

#[test]
fn a_reexport_of_the_face_hides_no_circle() {
    // Both go through the face, which defines neither.
    let findings = house_with(&[("house/src/middle/a.rs", "pub struct A(Box<super::B>);\n")]);
    let words = ["a, b need each other"];
    assert_found(&findings, "circles", "house/src/middle/a.rs:1", &words);
}

#[test]
fn a_glob_and_a_renamed_import_hide_no_circle() {
    for code in [
        "use crate::middle::b::*;\npub struct A(B);\n",
        "use super::b as other;\npub struct A(other::B);\n",
        "use super::B as Other;\npub struct A(Other);\n",
    ] {
        let findings = house_with(&[("house/src/middle/a.rs", code)]);
        assert_found(
            &findings,
            "circles",
            "house/src/middle/a.rs:1",
            &["a, b need each other"],
        );
    }
}

#[test]
fn a_face_and_its_child_that_need_each_other_are_found() {
    let face = "mod a;\nmod b;\nmod shared;\npub use a::A;\npub use b::B;\nuse shared::Shared;\npub struct Face(Shared);\n";
    let child = "pub struct Shared(Option<Box<super::Face>>);\n";
    let findings = house_with(&[
        ("house/src/middle.rs", face),
        ("house/src/middle/shared.rs", child),
    ]);
    let words = ["(face)", "`super::Face`", "`shared::Shared`"];
    assert_found(&findings, "circles", "house/src/middle.rs:6", &words);
}

#[test]
fn a_face_that_uses_what_it_passes_on_needs_it() {
    let face = "mod a;\nmod b;\nmod shared;\npub use a::A;\npub use b::B;\npub(crate) use shared::Shared;\npub struct Face(Shared);\n";
    let child = "pub struct Shared(Option<Box<super::Face>>);\n";
    let findings = house_with(&[
        ("house/src/middle.rs", face),
        ("house/src/middle/shared.rs", child),
    ]);
    assert_found(
        &findings,
        "circles",
        "house/src/middle.rs:7",
        &["(face)", "shared"],
    );
}

#[test]
fn a_child_may_use_what_its_face_defines_as_long_as_the_face_does_not_use_the_child() {
    let face = "mod a;\nmod b;\nmod shared;\npub use a::A;\npub use b::B;\npub(crate) use shared::Shared;\npub struct Face;\n";
    let child = "pub struct Shared(super::Face);\n";
    let files = [
        ("house/src/middle.rs", face),
        ("house/src/middle/shared.rs", child),
    ];
    assert_eq!(house_with(&files), []);
}

#[test]
fn two_folders_that_need_each_other_are_found_although_no_two_files_do() {
    let findings = house_with(&[
        (
            "house/src/middle.rs",
            "mod a;\nmod b;\nmod shared;\nmod left;\nmod right;\npub use a::A;\npub use b::B;\npub(crate) use shared::Shared;\n",
        ),
        ("house/src/middle/left.rs", "pub mod one;\npub mod two;\n"),
        ("house/src/middle/left/one.rs", "pub struct One;\n"),
        (
            "house/src/middle/left/two.rs",
            "use crate::middle::right::two::Two;\n",
        ),
        ("house/src/middle/right.rs", "pub mod one;\npub mod two;\n"),
        (
            "house/src/middle/right/one.rs",
            "use crate::middle::left::one::One;\n",
        ),
        ("house/src/middle/right/two.rs", "pub struct Two;\n"),
    ]);
    let words = ["left, right need each other"];
    assert_found(
        &findings,
        "circles",
        "house/src/middle/left/two.rs:1",
        &words,
    );
}

#[test]
fn a_circle_of_three_is_found_also_through_macros() {
    let findings = house_with(&[
        (
            "house/src/middle/a.rs",
            "fn f() { assert!(super::b::g()) }\npub struct A;\n",
        ),
        (
            "house/src/middle/b.rs",
            "pub fn g() -> bool { super::Shared::h() }\npub struct B;\n",
        ),
        (
            "house/src/middle/shared.rs",
            "use super::a;\npub struct Shared;\n",
        ),
    ]);
    let words = ["a, b, shared need each other"];
    assert_found(&findings, "circles", "house/src/middle/a.rs:1", &words);
}
