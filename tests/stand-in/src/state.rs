//! What all connections share: the database, and what a test sets (faults, replays) and reads (counters, requests).

pub(crate) mod faults;
pub(crate) mod metrics;
pub(crate) mod replay;
pub(crate) mod service;
