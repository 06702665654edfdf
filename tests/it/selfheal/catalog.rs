//! The catalog under programs that are killed, whose clocks are wrong, or that reach it through a pool.

mod claims;
mod history;
mod pgbouncer;
mod replicas;
mod restore;
mod support;
