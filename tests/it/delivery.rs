//! What reaches clients and people: downloads, the API, the dashboard.

mod api;
mod cores;
mod dashboard;
mod download;
mod figures;
mod first_sync;
mod gauges;
mod limits;
mod login;
mod proxy;
mod reports;
mod tls;
