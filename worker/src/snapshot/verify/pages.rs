//! Reads a database page by page, without SQLite.
//!
//! - In: a file, and perhaps what its pages were before.
//! - Out: pages, records, which tree each page belongs to; every page that cannot be is an error.
//! - A kill leaves nothing: the file is only read.
//! - Shares nothing with what writes pages (`oplog::engine::pages`): a mistake there must not be read as right here.

mod entry;
mod index;
mod objects;
mod owners;
mod page;
mod record;
mod version;

pub(super) use entry::{Entry, Sum};
pub(super) use index::Index;
pub(super) use objects::{
    Large, Objects, Visit, each_row, in_table, objects, place, placed, tables,
};
pub(super) use owners::Owners;
pub(super) use page::Page;
pub(super) use record::{Places, Value, values};
pub(super) use version::{Version, wrong};
