//! Authentication and authorization: people and programs by a token, each within its role; clients by the JWT of their app.
//!
//! In: a request's headers. Out: a [`Caller`], or the [`Problem`](super::problem::Problem) to answer. Which role a route needs is
//! in one table (`routes`); what callers change is recorded in the audit log (`audit`). Keys that the app's backend publishes are
//! cached in memory; a kill leaves nothing.

mod access;
mod algorithm;
mod audit;
mod bearer;
mod caller;
mod claim;
mod clients;
mod jwks;
mod key;
mod origin;
mod published;
mod routes;

pub(crate) use self::clients::check_keys;
pub use self::key::KeyError;
pub(super) use self::{
    access::{Access, require_role},
    bearer::client_token,
    caller::Caller,
    clients::Clients,
    routes::say_roles,
};
