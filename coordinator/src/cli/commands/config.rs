//! `seedbed config` and `seedbed completions`: commands that work without valid settings.

use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;
use seedbed_protocol::settings::{self, DEFAULTS, SettingsError};

use crate::cli::{
    args::Cli,
    output::{print_json, print_text},
};

/// Prints the commented defaults; with `json`, the settings in effect.
pub(in crate::cli) fn config(file: Option<&Path>, json: bool) -> Result<(), SettingsError> {
    if json {
        for setting in settings::effective(file)? {
            print_json(&setting);
        }
    } else {
        print_text(DEFAULTS.trim_end());
    }
    Ok(())
}

/// Prints the completions for `shell`.
pub(in crate::cli) fn completions(shell: Shell) {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "seedbed", &mut script);
    print_text(String::from_utf8_lossy(&script).trim_end());
}
