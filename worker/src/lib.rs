//! Takes seed jobs and turns each into one verified snapshot in the snapshot store.

pub mod config;
pub mod progress;
pub mod service;
pub mod verify;

pub use service::{Probe, Worker};
