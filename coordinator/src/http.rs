//! The HTTP server: downloads for clients, API and dashboard for administrators, probes for orchestrators.
//!
//! ```text
//!   server ─┬─▶ download (/database, /snapshots/…) ─▶ auth: the app's JWT ─▶ catalog ─▶ a signed URL
//!           ├─▶ reports (/reports) ─▶ auth: the app's JWT ─▶ catalog
//!           ├─▶ first_sync (/start, /sync/stream) ─▶ auth: the app's JWT ─▶ the object itself, as PowerSync would say it
//!           ├─▶ api (/api/…) ─▶ auth: a token or a login, and its role ─▶ catalog, runs
//!           ├─▶ dashboard (/, /assets/…), which asks /api/…
//!           ├─▶ login (/login, /login/callback) ─▶ a provider's ID token ─▶ a session in the catalog
//!           └─▶ probes (/healthz, /readyz, /metrics)
//! ```
//!
//! In: requests. Out: answers, all refusals as a `Problem`. Each group of endpoints has a state of its
//! own, below its handlers. Nothing here is kept: a kill drops open connections, and any other server answers the next
//! request.

mod api;
mod auth;
mod dashboard;
mod download;
mod first_sync;
mod json;
mod peer;
mod probes;
mod problem;
mod reports;
mod responses;
mod server;

pub use self::{
    auth::KeyError,
    download::DownloadError,
    server::{HttpError, HttpParts, HttpSections, HttpServer, Listeners},
};
pub(crate) use self::{
    auth::{check_keys, check_login},
    server::certificate_expires,
};
