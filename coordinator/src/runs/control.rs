//! Starts, retries and cancels runs.

pub mod cancel;
pub mod runs;
