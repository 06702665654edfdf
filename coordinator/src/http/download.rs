//! Downloads for clients: which snapshot, for whom, and by which URL.
//!
//! ```text
//!   GET /database ─▶ database ─▶ auth: may this token have the store? ─▶ catalog: the live snapshot
//!                                                          └─▶ a URL, signed by the object storage or by signed_url
//!   GET /snapshots/… (directories only) ─▶ files ─▶ signed_url: is it ours, is it still valid? ─▶ the file
//! ```
//!
//! Nothing is written, except that a missing snapshot may be requested on demand. A download that a kill interrupts is
//! continued by the client with Range.

mod answer;
mod choice;
mod content;
mod database;
mod delivery;
pub(super) mod files;
mod handed;
mod routes;
mod signed_url;
mod signer;
mod state;
mod types;

pub use self::state::DownloadError;
pub(super) use self::{
    delivery::{Deliveries, Withheld},
    routes::routes,
    state::{Downloads, is_older},
    types::{Encodings, Forms},
};
