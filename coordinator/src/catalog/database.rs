//! The database behind the catalog: how it is opened, its locks and errors, and what every query needs.
//!
//! In: `catalog.url`. Out: a [`Catalog`], with its tables up to date, and transactions that hold a lock.

mod error;
mod handle;
mod migrations;
mod open;
mod room;
mod secrets;
mod session;
mod sql;
mod survey;
mod values;

pub use error::CatalogError;
pub(super) use error::damaged;
pub use handle::Catalog;
pub(super) use handle::{Lock, take};
pub use open::{file_of, name_of};
pub(super) use session::{Dialect, Tx};
pub(super) use sql::{
    AnyQuery, count, cut_page, elapsed, list_of, millis, optional_count, parsed, pattern,
    printable, sql, stored, time,
};
pub use survey::{Connections, Survey};
pub(super) use values::{ids, json, wanted};
