//! One binary with all integration tests: one module a subject.

mod api;
mod broker_contract;
mod catalog;
mod cli;
mod client;
mod cluster;
mod cluster_failures;
mod cluster_refusals;
mod dashboard;
mod download;
mod local;
mod rabbitmq;
mod recordings;
mod retention;
mod serve;
mod serve_limits;
mod snapshot_stores;
mod stand_in;
mod stores_sql;
mod storm;
mod worker_faults;
mod worker_loading;
mod worker_service;
mod worker_snapshots;
