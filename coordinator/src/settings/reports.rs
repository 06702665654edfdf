//! `[reports]`: what devices may report of first launches, and for how long that stays.

use std::time::Duration;

use seedbed_protocol::settings::{SettingsError, duration, invalid, positive};
use serde::Deserialize;

/// Reports of first launches.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportsConfig {
    /// Whether they are taken.
    pub accept: bool,
    /// For how long each stays.
    #[serde(deserialize_with = "duration")]
    pub keep: Duration,
    /// How many a store may send in an hour.
    pub per_store: u32,
    /// How many may be sent with one token in an hour.
    pub per_token: u32,
}

impl ReportsConfig {
    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        for (setting, limit) in [
            ("reports.per_store", self.per_store),
            ("reports.per_token", self.per_token),
        ] {
            if limit == 0 {
                return invalid(
                    setting,
                    "is 0; to take no reports at all, set reports.accept = false",
                );
            }
        }
        positive("reports.keep", self.keep)
    }
}
