//! Authentication and authorization: programs by a token, people by a token or the session of a login, each within its role;
//! clients by the JWT of their app.
//!
//! In: a request's headers. Out: a [`Caller`], or the [`Problem`](super::problem::Problem) to answer. Which role a route needs is
//! in one table (`routes`); what callers change is recorded in the audit log (`audit`). Keys that the app's backend publishes are
//! cached in memory; a kill leaves nothing.

mod access;
mod audit;
mod bearer;
mod caller;
mod claim;
mod clients;
mod cookie;
mod keys;
mod login;
mod origin;
mod routes;

pub use self::keys::KeyError;
pub(super) use self::{
    access::{Access, require_role},
    bearer::client_token,
    caller::Caller,
    clients::Clients,
    cookie::{SESSION_COOKIE, ended},
    login::{Login, routes as login_routes},
    routes::say_roles,
};
pub(crate) use self::{clients::check_keys, login::check_login};
