//! What reaches clients and people: downloads, the API, the clients' packages, the dashboard.

mod api;
mod clients;
mod cores;
mod dashboard;
mod download;
mod figures;
mod limits;
mod reports;
