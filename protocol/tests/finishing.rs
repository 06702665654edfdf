//! How a compact file is finished: what a released version says never changes.

use seedbed_protocol::{
    digest::sha256_hex,
    manifest::{Finishing, FinishingStep, Form},
};

#[test]
fn what_version_1_does_is_what_it_was() {
    let text = include_str!("../finish/v1.json");
    // Only the versions that it is tested with may become more.
    let (_, steps) = text.split_once("\"steps\"").unwrap();
    assert_eq!(
        sha256_hex(steps),
        "b505b6cd03c7e551e1915c528894b3fe231adbe058c9ef56f2c481204a3e6eda",
        "client packages have copies of it: another way to finish is another version"
    );
}

#[test]
fn the_current_description_is_read_and_its_steps_have_names() {
    let finishing = Finishing::current();
    assert_eq!((finishing.version, finishing.form), (1, Form::Compact));
    let names: Vec<_> = finishing.steps.iter().map(FinishingStep::name).collect();
    let (first, last) = (names.first(), names.last());
    assert_eq!(
        (first, last),
        (Some(&"recognise"), Some(&"nothing_to_upload"))
    );
}
