//! The list of stores: from a file, standard input or a database, one [`Store`] after the other.
//!
//! ```text
//!   file, standard input ─▶ file ─▶ lines, format ───────┐
//!                                                        ├─▶ record (columns ─▶ scope) ─▶ channel ─▶ Store
//!   SQL database ─────────▶ sql ─────────────────────────┤
//!   MongoDB ──────────────▶ mongo ───────────────────────┘
//! ```
//!
//! In: `[source]` or `--stores`. Out: a stream that ends after the first error. Knows nothing of runs or the
//! catalog, and only reads: a kill leaves nothing.

mod cast;
mod channel;
mod configured;
mod error;
mod file;
mod format;
mod lines;
mod mongo;
mod record;
mod sql;
mod store;

pub use self::{
    configured::StoreSource,
    error::{RecordProblem, SourceError},
    file::Input,
    format::FileFormat,
    mongo::MongoSource,
    sql::SqlSource,
    store::Store,
};
