//! Jobs of a worker, on a broker in memory.

mod damage;
mod faults;
mod forms;
mod loading;
mod raw_tables;
mod reader;
mod recordings;
mod reuse;
mod selection;
mod service;
mod snapshots;
