//! Figures over a period, as JSON for the dashboard and as CSV for spreadsheets.
//!
//! In: how many days. Out: how first launches went. Everything is read; a kill leaves nothing.

mod csv;
mod launches;
mod period;
mod routes;

pub(super) use self::routes::routes;
