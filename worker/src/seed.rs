//! One job.

pub(crate) mod base;
pub mod download;
pub mod error;
pub(crate) mod job;
pub(crate) mod steps;
pub mod workdir;
