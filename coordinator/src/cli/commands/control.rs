//! What administrators decide from a shell, and who did what.
//!
//! In: arguments and settings. Out: what is printed, and a change in the catalog, which is in the audit log.

pub(in crate::cli) mod audit;
pub(in crate::cli) mod delivery;
pub(in crate::cli) mod forget;
pub(in crate::cli) mod notify;
pub(in crate::cli) mod tokens;
pub(in crate::cli) mod withdraw;
