//! What reaches clients and people: downloads, the API, the dashboard.

mod api;
mod dashboard;
mod download;
mod limits;
