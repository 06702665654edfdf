//! The program `seedbed`: its command line, and all that it prints.
//!
//! In: arguments, settings and signals. Out: tables, progress and errors for people, or JSON lines for machines, and an exit
//! code (`exit` has the table). This is the top floor: nothing below prints. What a kill leaves is
//! said by the room that does the work.

mod args;
mod check;
mod commands;
mod connect;
mod dispatch;
mod exit;
mod imports;
mod layout;
mod on_record;
mod output;
mod patience;
mod progress;

pub use self::{
    args::Cli,
    dispatch::{main, refuse},
};
