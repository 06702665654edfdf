//! What a worker makes of a job, on a broker in memory.

mod faults;
mod loading;
mod recordings;
mod reuse;
mod service;
mod snapshots;
