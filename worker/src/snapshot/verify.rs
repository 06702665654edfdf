//! Checks a finished file before anybody can download it.

pub mod file;
mod structure;
