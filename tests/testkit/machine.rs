//! The machine below the tests: file systems, what this process has used of it, and Node.

mod mounts;
mod node;
mod usage;

pub use mounts::Tmpfs;
pub use node::{node_24, run_node_tests};
pub use usage::{cpu_time, forget_peak, machine, mib, peak_bytes};
