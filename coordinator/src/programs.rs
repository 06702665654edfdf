//! What runs until a signal or until a run has ended: a server, a run on a cluster, everything in one process.

pub mod cluster;
pub mod local;
pub mod serve;
