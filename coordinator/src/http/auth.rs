//! Authentication and authorization: administrators by the admin token, clients by the JWT of their app.
//!
//! In: a request's headers. Out: nothing, or the [`Problem`](super::problem::Problem) to answer; what administrators do is
//! recorded in the audit log (`audit`). Keys that the app's backend
//! publishes are cached in memory; a kill leaves nothing.

mod admin;
mod algorithm;
mod audit;
mod bearer;
mod claim;
mod clients;
mod jwks;
mod key;
mod published;

pub(crate) use self::clients::check_keys;
pub use self::key::KeyError;
pub(super) use self::{
    admin::{AdminAccess, require_admin},
    bearer::client_token,
    clients::Clients,
};
