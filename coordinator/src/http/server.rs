//! Listens, limits and routes.

pub mod access_log;
pub mod limits;
pub mod listen;
pub mod routes;
