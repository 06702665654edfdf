//! Checks all of a file in one pass over its pages, without SQLite.
//!
//! - In: a file as Seedbed makes it.
//! - Out: facts about it, or the first thing that is wrong with it; nothing of a file of another make.
//! - A kill leaves nothing: the file is only read.
//!
//! Each tree is read once, in the order of its keys, on one of two threads: its pages are checked as `quick_check` does,
//! and its rows or entries are summed up. Every page of the file has to belong to one tree, to a large row, or be free; each
//! index has to have the sum of its table, and each table that of its newest operations. Small tables, and those whose
//! indexes are not simple, are left to `integrity_check`.

mod check;
mod read;
pub(super) mod structure;
mod walk;

pub(super) use check::check_pages;
