//! What several workers do of the same: the same job, and the buckets that stores share.

mod same_job;
mod shared_buckets;
