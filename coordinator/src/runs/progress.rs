//! How far runs are.

pub mod follow;
