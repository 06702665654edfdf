//! The commands, one file each: reads its arguments and settings, opens parts, and prints the result.
//!
//! In: arguments and settings, from `dispatch`. Out: what is printed, and an error that `exit` turns into an exit code. What a
//! kill leaves is said by the rooms that a command calls.

pub(super) mod cancel;
pub(super) mod config;
pub(super) mod control;
pub(super) mod local;
pub(super) mod quarantine;
pub(super) mod retry;
pub(super) mod run;
pub(super) mod serve;
pub(super) mod snapshots;
pub(super) mod status;
pub(super) mod timeline;
pub(super) mod upkeep;
