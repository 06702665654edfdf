//! Whole programs, made of the rooms below: a server, a command on a cluster, and everything in one process.
//!
//! In: settings and opened parts. Out: how it ended, as a value; numbers go to an observer while it runs. Nothing here
//! prints. What a kill leaves is said at the head of each file.

mod cluster;
mod local;
mod publishing;
mod serve;

pub(crate) use self::publishing::{job_maker, late_uploads, quarantine};
pub use self::{
    cluster::{Awaited, Cluster, ClusterError, FollowOutcome},
    local::{Local, LocalError, LocalOutcome, LockError},
    serve::{ServeError, Service, ServiceParts},
};
