//! `[buckets]` of the settings: the cache of buckets that several stores have.

use std::time::Duration;

use seedbed_protocol::settings::{
    Secret, SettingsError, duration, invalid, optional_secret, positive,
};
use serde::Deserialize;

/// The shortest secret, in bytes.
const MIN_SECRET_BYTES: usize = 32;

/// The cache of buckets that several stores have.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BucketsConfig {
    /// Whether there is one.
    pub enabled: bool,
    /// Authenticates what workers share in the repository; nothing is shared there without it.
    #[serde(default, deserialize_with = "optional_secret")]
    pub secret: Option<Secret>,
    /// The most that one worker keeps on its disk, in MiB.
    pub worker_mib: u32,
    /// The most that `seedbed gc` leaves in the repository, in MiB.
    pub stored_mib: u32,
    /// How long an entry is used.
    #[serde(deserialize_with = "duration")]
    pub keep: Duration,
    /// Smaller buckets are downloaded again.
    pub min_operations: u64,
    /// A database is prepared with so many operations in common, or more.
    pub prepare_from: u64,
    /// How long other workers wait for one that fills an entry and does not say that it is there.
    #[serde(deserialize_with = "duration")]
    pub lease: Duration,
}

impl BucketsConfig {
    pub(super) fn check(&self) -> Result<(), SettingsError> {
        if let Some(secret) = &self.secret
            && secret.expose().len() < MIN_SECRET_BYTES
        {
            return invalid(
                "buckets.secret",
                "has less than 32 bytes; `openssl rand -hex 32` makes one",
            );
        }
        if self.worker_mib == 0 {
            return invalid(
                "buckets.worker_mib",
                "is 0; buckets.enabled = false turns the cache off",
            );
        }
        positive("buckets.keep", self.keep)?;
        positive("buckets.lease", self.lease)
    }
}
