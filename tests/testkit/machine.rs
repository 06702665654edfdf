//! The machine below the tests: file systems, what this process has used of it, and the tools that are installed for them.

mod client_packages;
mod mounts;
mod node;
mod tools;
mod usage;
mod variable;

pub use client_packages::{assert_same_types, client_packages};
pub use mounts::Tmpfs;
pub use node::run_node_tests;
pub use tools::{leave_out, node, tools};
pub use usage::{cpu_of_children, cpu_time, forget_peak, machine, mib, peak_bytes};
pub use variable::number;
