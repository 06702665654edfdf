//! Reports of first launches from devices.
//!
//! ```text
//!   POST /reports ─▶ auth: may this token speak for the store? ─▶ limits ─▶ body: words and numbers ─▶ catalog
//! ```
//!
//! In: a small JSON object. Out: 204, also for a report that is known. Neither the token nor the caller's address is kept; a
//! kill loses nothing that was answered.

mod body;
mod intake;
mod routes;
mod state;

pub(super) use self::{routes::routes, state::Reports};
