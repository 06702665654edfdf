//! Logins to the dashboard by OpenID Connect: the authorization code flow with PKCE.
//!
//! ```text
//!   /login ──▶ the provider, with state, nonce and the hash of a verifier; all three are made of a cookie (`begun`)
//!   /login/callback ──▶ state ──▶ token endpoint (`exchange`) ──▶ ID token (`id_token`) ──▶ role (`person`) ──▶ a session
//! ```
//!
//! In: a browser that wants in. Out: a session in the catalog and its cookie, or a page that says why not. Nothing of a login is
//! kept here: it may begin at one server and end at another, and a kill leaves nothing.

mod begun;
mod callback;
mod check;
mod error;
mod exchange;
mod id_token;
mod pages;
mod person;
mod provider;
mod return_path;
mod routes;
mod state;

pub(crate) use self::check::check_login;
pub(in crate::http) use self::{routes::routes, state::Login};
