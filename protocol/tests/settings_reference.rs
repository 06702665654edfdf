//! `deploy/SETTINGS.md` is generated from the commented default, `protocol/seedbed.toml`.
//!
//! After a change of a setting, `SEEDBED_WRITE_SETTINGS=1 cargo test -p seedbed-protocol --test settings_reference`
//! writes it again.

use std::{fs, path::PathBuf};

use seedbed_protocol::settings;

#[test]
fn the_settings_page_says_what_the_commented_default_says() {
    let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy/SETTINGS.md");
    let reference = settings::reference();
    if std::env::var_os("SEEDBED_WRITE_SETTINGS").is_some() {
        fs::write(&page, &reference).unwrap();
    }
    let written = fs::read_to_string(&page).unwrap_or_default();
    assert!(
        written == reference,
        "deploy/SETTINGS.md is not what protocol/seedbed.toml says; run this test with SEEDBED_WRITE_SETTINGS=1"
    );
}
