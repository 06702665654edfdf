//! `seedbed config`, `init`, `schema`, `completions` and `man`: commands that begin without valid settings.

mod filled;
mod init;
mod pages;
mod questions;
mod schema;
mod written;

use std::path::Path;

use seedbed_protocol::settings::{self, DEFAULTS, SettingsError};

pub(in crate::cli) use self::{
    init::init,
    pages::{completions, man},
    schema::schema,
};
use crate::{
    cli::output::{print_json, print_text},
    settings::Settings,
};

/// Prints the commented defaults; with `json`, the settings in effect, also those that are then refused.
pub(in crate::cli) fn config(file: Option<&Path>, json: bool) -> Result<(), SettingsError> {
    if json {
        for setting in settings::effective(file)? {
            print_json(&setting);
        }
        Settings::load(file)?;
    } else {
        print_text(DEFAULTS.trim_end());
    }
    Ok(())
}
