//! From a request to the bytes of its answer: routes and refusals, a client's stream of lines, compression and cuts.

mod body;
mod keepalive;
pub(crate) mod server;
mod session;
