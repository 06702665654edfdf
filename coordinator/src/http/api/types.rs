//! Responses of the API: JSON fields, and their descriptions in the OpenAPI document.

mod change;
mod overview;
mod run;
mod snapshot;
mod store;
mod timeline;
mod worker;

pub(super) use self::{
    change::{Dropped, Started, StartedOver},
    overview::{Messages, Overview, ParkedMessages},
    run::{Job, Jobs, Run, Runs},
    snapshot::Snapshot,
    store::{Store, StoreDetail, Stores},
    timeline::Timeline,
    worker::{Worker, Workers},
};
