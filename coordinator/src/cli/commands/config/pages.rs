//! `seedbed completions` and `seedbed man`: what packages make of the command line and install.

use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::{
    args::{Cli, Program},
    exit::CliError,
    output::{print_json, print_text},
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
        std::fs::create_dir_all(directory)?;
        for program in [Program::Seedbed, Program::SeedbedWorker] {
            clap_mangen::generate_to(program.command(), directory)?;
        }
        let mut pages: Vec<_> = std::fs::read_dir(directory)?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name.starts_with("seedbed") && name.ends_with(".1"))
            .collect();
        pages.sort();
        Ok(pages)
    };
    let path = directory.display().to_string();
    let pages: Vec<String> = written().map_err(|source| CliError::PagesNotWritten {
        path: path.clone(),
        source,
    })?;
    if json {
        print_json(&serde_json::json!({"directory": path, "pages": pages}));
    } else {
        print_text(&format!("wrote {} man pages to {path}", pages.len()));
    }
    Ok(0)
}
