//! `seedbed completions` and `seedbed man`: what packages make of the command line and install.

use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use super::written::{beside, move_into};
use crate::cli::{
    args::{Cli, Program},
    exit::CliError,
    output::{counted, print_json, print_text},
};

impl Program {
    fn command(self) -> clap::Command {
        match self {
            Self::Seedbed => Cli::command(),
            Self::SeedbedWorker => seedbed_worker::program::Arguments::command(),
        }
    }
}

/// Prints the completions of a program for `shell`.
pub(in crate::cli) fn completions(shell: Shell, program: Program) {
    let mut command = program.command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    print_text(String::from_utf8_lossy(&script).trim_end());
}

/// Writes the man pages of both programs and of every command into `directory`.
pub(in crate::cli) fn man(directory: &Path, json: bool) -> Result<u8, CliError> {
    let written = || {
        let fresh = beside(directory)?;
        for program in [Program::Seedbed, Program::SeedbedWorker] {
            clap_mangen::generate_to(program.command(), fresh.path())?;
        }
        move_into(&fresh, directory)
    };
    let path = directory.display().to_string();
    let pages: Vec<String> = written().map_err(|source| CliError::PagesNotWritten {
        path: path.clone(),
        source,
    })?;
    if json {
        print_json(&serde_json::json!({"directory": path, "pages": pages}));
    } else {
        print_text(&format!(
            "wrote {} to {path}",
            counted(pages.len() as u64, "man page")
        ));
    }
    Ok(0)
}
