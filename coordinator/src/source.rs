//! The list of stores: from a file, standard input or a database, one [`Store`] after the other.
//!
//! ```text
//!   file, stdin ─▶ file ─▶ lines, table ─┐
//!                                        ├─▶ record (columns ─▶ scope) ─▶ reading (channel) ─▶ Store
//!   SQL database ─▶ sql ─▶ query, values ┘
//! ```
//!
//! In: `[source]` or `--stores`. Out: a stream that ends after the first error. Knows nothing of runs or the
//! catalog, and only reads: a kill leaves nothing.

mod error;
mod file;
mod lines;
mod query;
mod reading;
mod record;
mod sql;
mod store;
mod store_source;
mod table;
mod values;

pub use self::{
    error::{RecordProblem, SourceError},
    file::{FileFormat, Input},
    sql::SqlSource,
    store::Store,
    store_source::StoreSource,
};
