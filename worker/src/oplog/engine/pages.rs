//! Writes b-trees of a database page by page, without SQLite.
//!
//! - In: rows in the order of their ids, entries of indexes in their order.
//! - Out: full pages at the end of the file, in the order in which they fill, and the trees' roots where SQLite expects them.
//! - Either this or SQLite owns the file, never both: [`PageFile::publish`] hands it to SQLite, [`PageFile::take_back`] takes it.
//!   When it is closed, SQLite's locks on the file go too, which nobody else looks at.
//!
//! (<https://www.sqlite.org/fileformat2.html>)

mod file;
mod format;
mod index;
mod levels;
mod page;
mod record;
mod row_set;
mod table;

pub(super) use file::PageFile;
pub(super) use index::Index;
pub(super) use record::{Value, record};
pub(super) use row_set::RowSet;
pub(super) use table::Table;

#[cfg(test)]
mod tests;
