//! A device's first sync, and its first one after a change of the sync config, taken from a snapshot in PowerSync's own
//! protocol instead of from the service.
//!
//! ```text
//!   GET /start ─▶ start ─▶ offers: what is known of the store's snapshot ─▶ which endpoint now, and why
//!   POST /sync/stream ─▶ stream ─▶ auth ─▶ places: one at a time ─▶ request: what the device has and asks for
//!                          └─▶ decision: may it be given this? ─▶ accept: in which format ─▶ body: the object, piece by piece
//!   /write-checkpoint2.json, /sync/checkpoint-request ─▶ elsewhere
//! ```
//!
//! Whoever cannot be served gets 401: it is the one status after which every SDK asks the app for credentials anew, which
//! then name the service itself. Nothing is written. A kill drops streams; the devices come back, and then go to the service.

mod accept;
mod body;
mod decision;
mod elsewhere;
mod metrics;
mod offers;
mod places;
mod request;
mod routes;
mod start;
mod state;
mod stream;

pub(super) use self::{routes::routes, state::FirstSyncs};
