//! What several workers do of the same: the same job, the buckets that stores share, and work next to those of another version;
//! and what they tell of it.

mod rolling_upgrade;
mod same_job;
mod shared_buckets;
mod waiting;
