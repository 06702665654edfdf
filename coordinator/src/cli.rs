//! The program `seedbed`: its commands, and what they print and return.

pub mod args;
pub mod check;
pub mod commands;
pub mod progress;

pub use args::{Cli, main, refuse};
