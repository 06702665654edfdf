//! What people decide, and who did: the table `audit` (`audit`).
//!
//! In: actions of administrators. Out: entries that say who did what. Each change is one transaction: a kill leaves it made or
//! not made, and an entry without an end.

mod audit;

pub use audit::{AuditCursor, AuditEntry, AuditId, Deed};
