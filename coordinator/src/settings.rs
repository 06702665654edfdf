//! Every setting of the coordinator, one struct a section.

pub mod root;
pub mod schedule;
pub mod serve;
