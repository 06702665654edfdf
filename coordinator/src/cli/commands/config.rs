//! `seedbed config`, `init`, `schema` and `completions`: commands that work without valid settings.

mod filled;
mod init;

use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;
use seedbed_protocol::settings::{self, DEFAULTS, SettingsError};

pub(in crate::cli) use self::init::init;
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

/// Prints a JSON schema of the settings file.
pub(in crate::cli) fn schema() {
    let schema = settings::schema();
    print_text(&serde_json::to_string_pretty(&schema).unwrap_or_default());
}

/// Prints the completions for `shell`.
pub(in crate::cli) fn completions(shell: Shell) {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "seedbed", &mut script);
    print_text(String::from_utf8_lossy(&script).trim_end());
}
