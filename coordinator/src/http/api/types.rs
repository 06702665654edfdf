//! Responses of the API: JSON fields, and their descriptions in the OpenAPI document.

mod change;
mod overview;
mod run;
mod snapshot;
mod store;

pub(super) use self::{
    change::{Dropped, Started, StartedOver},
    overview::{Messages, Overview},
    run::{Job, Jobs, Run, Runs},
    snapshot::Snapshot,
    store::{Store, StoreDetail, Stores},
};
