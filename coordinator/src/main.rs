//! The program `seedbed`.

use std::process::ExitCode;

use clap::Parser;
use seedbed::cli::{self, Cli};

fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => cli::main(cli),
        Err(error) => cli::refuse(&error),
    }
}
