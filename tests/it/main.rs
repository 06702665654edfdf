//! One binary with all integration tests: one folder a group, so that `-- GROUP::` runs a folder and nothing else.

mod cluster;
mod containers;
mod delivery;
mod deploy;
mod first_launch;
mod kubernetes;
mod local;
mod selfheal;
mod stores;
mod traces;
