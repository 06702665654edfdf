//! Figures over a period, as JSON for the dashboard and as CSV for spreadsheets.
//!
//! In: how many days. Out: how first launches went, how large stores are, what is stored and moved. Everything is read; a kill leaves nothing.

mod costs;
mod csv;
mod freshness;
mod launches;
mod period;
mod routes;
mod sizes;

pub(super) use self::routes::routes;
