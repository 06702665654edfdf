//! The commands, one file each.

pub mod gc;
pub mod run;
pub mod serve;
pub mod status;
