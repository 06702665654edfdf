//! Stores from MongoDB: one document of a collection is one store.
//!
//! In: `source.url` ([`address`](self::address)), `source.collection`, `source.filter` ([`filter`](self::filter)) and
//! `source.fields` ([`fields`](self::fields)). Out: stores, through the channel of the source; [`reader`](self::reader)
//! fetches documents in batches as they are taken, [`values`](self::values) turns their fields into claims. Only reads: a kill
//! leaves nothing.

mod address;
mod fields;
mod filter;
mod reader;
mod values;

pub use self::reader::MongoSource;
