//! One binary with all integration tests: one module a subject.

mod broker_contract;
mod recordings;
mod stand_in;
mod worker_faults;
