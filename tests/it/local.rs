//! One process, no other server than the stand-in for PowerSync: the commands, `seedbed local`, and a worker's jobs.

mod cli;
mod plan;
mod stand_in;
mod status;
mod sweeps;
mod widths;
mod worker;
