//! `seedbed local`, the program, from the list of stores to the snapshots: what it promises to the shell, and
//! what it leaves behind however it ends.

mod disks;
mod generations;
mod interrupted;
mod results;
mod reuse;
mod support;
