//! Rows as a hostile or broken service may send them: huge ones, and such that no client can read.

mod huge;
mod memory;
mod unreadable;
