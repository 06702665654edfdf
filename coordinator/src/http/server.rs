//! Listens, limits, logs and routes.
//!
//! ```text
//!   listen ─▶ connection ─▶ access_log ─▶ limits (headers, panics, rate, time, size) ─▶ routes ─▶ an endpoint
//! ```
//!
//! In: settings and the parts that requests reach. Out: answers until it is told to stop, then those that had begun. A kill
//! drops open connections; runs that requests have started are in the catalog, and continue.

mod access_log;
mod connection;
mod document;
mod error;
mod http_server;
mod limits;
mod listen;
mod listeners;
mod routes;

pub(crate) use self::connection::certificate_expires;
pub use self::{
    error::HttpError,
    http_server::{HttpParts, HttpSections, HttpServer},
    listeners::Listeners,
};
