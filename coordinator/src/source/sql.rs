//! Stores from a database: one row of the configured query is one store.
//!
//! In: `source.url` ([`database_url`](self::database_url)) and `source.query` ([`query`](self::query), split by
//! [`scanner`](self::scanner)). Out: stores, through
//! the channel of the source; [`reader`](self::reader) fetches rows as they are taken, [`values`](self::values) turns their
//! columns into claims. Only reads: a kill leaves nothing.

mod database_url;
mod query;
mod reader;
mod scanner;
mod values;

pub use self::reader::SqlSource;
