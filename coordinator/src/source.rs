//! The list of stores: from a file, standard input or a database, one [`Store`] after the other.
//!
//! ```text
//!   file, standard input ─▶ file ─▶ lines, format ───────┐
//!                                                        ├─▶ record (columns ─▶ scope) ─▶ reading (channel) ─▶ Store
//!   SQL database ─────────▶ sql ─▶ driver, query, values ┘
//! ```
//!
//! In: `[source]` or `--stores`. Out: a stream that ends after the first error. Knows nothing of runs or the
//! catalog, and only reads: a kill leaves nothing.

mod driver;
mod error;
mod file;
mod format;
mod lines;
mod query;
mod reading;
mod record;
mod sql;
mod store;
mod store_source;
mod values;

pub use self::{
    error::{RecordProblem, SourceError},
    file::Input,
    format::FileFormat,
    sql::SqlSource,
    store::Store,
    store_source::StoreSource,
};
