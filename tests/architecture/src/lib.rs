//! Holds the plan of the house against the sources.
//!
//! ```text
//! files ─► tree ─► code: modules ─► paths, also in macros ─► where each is defined ─► edges between files
//!                                                                                       │
//!          floors (the table) ────────────────────────────────────────────────────────► rules ─► findings
//! ```
//!
//! Goes in: the repository, or a made-up one in memory. Comes out: a finding for each line that breaks a rule, with
//! what to do about it. Nothing is compiled and nothing is written.

pub mod code;
pub mod finding;
pub mod floors;
pub mod rules;
pub mod tree;
