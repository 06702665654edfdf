//! What the service knows: tables and generated rows, the sync config, and the buckets and checkpoints that it makes
//! of both. Only in memory.

pub(crate) mod bucket;
pub(crate) mod checkpoint;
pub(crate) mod config;
pub(crate) mod database;
pub(crate) mod products;
pub(crate) mod row;
