//! Every setting of the coordinator and of the worker that it may run: one struct a section of `seedbed.toml`.
//!
//! In: the settings file and `SEEDBED_*` variables, read by [`Settings::load`]. Out: typed sections, which the
//! other rooms take one by one. Each command checks once, at its start, that what it needs makes sense
//! (`Settings::check_*`): nothing here opens a file or a connection, so a kill leaves nothing.

mod catalog;
mod cost;
mod download;
pub(crate) mod login;
mod notify;
mod reports;
mod root;
mod schedule;
mod serve;
mod source;
mod sync;
#[cfg(test)]
mod tests;

pub(crate) use self::source::mongo::mongo_connection;
pub use self::{
    catalog::{CatalogConfig, RetentionConfig},
    cost::CostConfig,
    download::DownloadConfig,
    login::LoginConfig,
    notify::{NotifyConfig, NotifyTemplate},
    reports::ReportsConfig,
    root::Settings,
    schedule::{InvalidSchedule, Schedule},
    serve::{ServeConfig, TlsFiles},
    source::SourceConfig,
    sync::{StreamConfig, StreamTemplate, SyncConfig, Templates},
};
