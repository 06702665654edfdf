//! Checks module dependencies, sizes and links of this repository.
//!
//! ```text
//! files ─► tree ─► code: modules ─► paths, also in macros ─► where each is defined ─► edges between files
//!                                                                                       │
//!          floors (the table) ────────────────────────────────────────────────────────► rules ─► findings
//! ```
//!
//! In: the repository, or a made-up one in memory. Out: a finding for each line that breaks a rule, with
//! what to do about it. Nothing is compiled and nothing is written.

pub mod code;
pub mod finding;
pub mod floors;
pub mod rules;
pub mod tree;
