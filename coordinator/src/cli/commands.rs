//! The commands, one file each: reads its arguments and settings, opens parts, and prints what came of them.

pub(super) mod cancel;
pub(super) mod config;
pub(super) mod gc;
pub(super) mod local;
pub(super) mod rebuild;
pub(super) mod retry;
pub(super) mod run;
pub(super) mod serve;
pub(super) mod snapshots;
pub(super) mod status;
pub(super) mod verify;
