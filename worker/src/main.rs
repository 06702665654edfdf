//! The program `seedbed-worker`.

use std::process::ExitCode;

use clap::Parser;
use seedbed_worker::program::{self, Arguments};

fn main() -> ExitCode {
    program::main(Arguments::parse())
}
