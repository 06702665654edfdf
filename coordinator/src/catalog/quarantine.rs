//! The table `failing`, and the quarantine that follows from it.
//!
//! A store that failed alone, for the same permanent reason, in so many sweeps in a row is quarantined: sweeps skip it, but for
//! probes with growing pauses (`policy`). A person may put others there, too (`held`). In: how the jobs of a sweep ended (`judge`), and what they failed for, without
//! what differs from store to store (`reason`). Out: who is quarantined, until when and why. Whatever succeeds ends it.
//! Part of the transaction that ends a run or applies events: a kill leaves it made or not made.

mod held;
mod judge;
mod policy;
mod reason;

pub use held::Held;
pub(super) use held::hold;
pub(super) use judge::{judge_sweep, others_are_fine, quarantined, succeeded};
pub(super) use policy::{FAILING_COLUMNS, failing};
pub use policy::{Failing, HeldBy, Quarantine, QuarantinedStore};
pub(super) use reason::{code_of, key_of, reason_of};
