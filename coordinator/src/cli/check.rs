//! `seedbed check`: is every part configured, reachable and usable?

mod clock;
mod downloads;
pub mod parts;
