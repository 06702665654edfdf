//! Retention: stores that leave the source, `gc`, `rebuild-catalog` and `verify --sample`. On a cluster
//! whose snapshots are in a directory, and on one whose snapshots are in S3.

mod collection;
mod repair;
mod support;
mod sweeps;
