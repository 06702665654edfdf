//! What people decide, and who did: which stores get snapshots (`delivery`), which are forgotten (`forgotten`), what they are told of
//! (`notices`), who may do what (`role`, `tokens`, `sessions`), and the audit log (`audit`).
//!
//! In: actions of administrators. Out: what servers ask for before they hand out a snapshot, and entries that say who did what.
//! Each change is one transaction: a kill leaves it made or not made, and an entry without an end.

mod audit;
mod decided;
mod delivery;
mod forgotten;
mod notices;
mod role;
mod sessions;
mod tokens;

pub use audit::{AuditCursor, AuditEntry, AuditId, Deed};
pub use decided::Decided;
pub use delivery::{Delivery, Share, Shared};
pub(super) use forgotten::is_of_forgotten;
pub use forgotten::{ForgottenRows, ForgottenSince, ForgottenStore};
pub use notices::{DueNotice, Notice, NoticeEvent};
pub use role::Role;
pub use sessions::{LoginSession, NewSession, actor};
pub use tokens::{ApiToken, NewToken};
