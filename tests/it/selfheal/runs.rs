//! How runs end: what a store that keeps failing does to them, and what their exit codes say.

mod outcomes;
mod quarantine;
mod reasons;
