//! `seedbed check`: checks that every part is configured, reachable and usable.
//!
//! In: settings and the list of stores. Out: one line a part, with what was found or what to do. It writes a small object
//! and removes it again; killed in between, that object stays, which the next check overwrites or leaves alone.

mod catalog;
mod certificate;
mod clock;
mod command;
mod directories;
mod downloads;
mod login;
mod objects;
mod parts;
mod policies;
mod report;
mod worker;

pub(super) use self::command::check;
