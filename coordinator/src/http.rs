//! The HTTP server.

pub mod api;
pub mod auth;
pub mod dashboard;
pub mod download;
pub mod probes;
pub mod problem;
pub mod server;
