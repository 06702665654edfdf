//! Commands that look after what sweeps have made.

pub(in crate::cli) mod gc;
pub(in crate::cli) mod plan;
pub(in crate::cli) mod rebuild;
pub(in crate::cli) mod verify;
