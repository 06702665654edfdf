//! One binary with all integration tests: one module a subject.

mod recordings;
mod stand_in;
