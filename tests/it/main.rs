//! One binary with all integration tests: one module a subject.

mod stand_in;
