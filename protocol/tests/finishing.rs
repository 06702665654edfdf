//! How a compact file is finished: what a released version says never changes.

use seedbed_protocol::{
    digest::sha256_hex,
    manifest::{Finishing, FinishingStep, Form},
};

#[test]
fn version_1_is_what_it_was() {
    let text = include_str!("../finish/v1.json");
    assert_eq!(
        sha256_hex(text),
        "951459833308504a24a7973554053505ace4a7fa21914214e95f6957cd445c7b",
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
