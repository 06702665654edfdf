//! `/api`: what administrators see and do. `auth` decides who may.
//!
//! In: requests of the dashboard and of programs. Out: JSON, and changes to runs. A change is made to its end although the
//! caller goes away; a kill leaves it made or not made.

mod audit;
mod control;
mod extract;
mod figures;
mod overview;
mod routes;
mod runs;
mod state;
mod stores;
mod timeline;
mod types;
mod workers;

pub(super) use self::{
    routes::routes,
    state::{Api, Overviews},
};
