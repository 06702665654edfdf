//! The program `seedbed`.

use std::process::ExitCode;

use clap::Parser;
use seedbed::cli::{self, Cli};

fn main() -> ExitCode {
    cli::main(Cli::parse())
}
