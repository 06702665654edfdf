//! Reads what an app and its PowerSync service have already, and makes Seedbed's own files of it.
//!
//! In: the service's configuration and sync config (`powersync`), the app's schema as it is written for an SDK or in a
//! snapshot (`app_schema`). Out: proposed settings with what is not known about them, and a schema file. Nothing is
//! written here, so a kill leaves nothing.

mod app_schema;
mod error;
mod powersync;

pub(super) use self::{
    app_schema::{AppSchema, of_snapshot, of_source},
    error::ImportError,
    powersync::{Proposal, Proposed, Subscription, Value, propose},
};
