//! `[catalog]` and `[retention]`: where snapshots are recorded, and how long they stay.

use std::time::Duration;

use seedbed_protocol::settings::{
    Secret, SettingsError, check_database_url, duration, invalid, positive, without_secrets,
};
use serde::Deserialize;

/// Where runs, jobs and snapshots are recorded.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogConfig {
    /// `sqlite:FILE` or `postgres://…`. Secret because of the password that it may contain.
    pub url: Secret,
    /// For how long runs, jobs and records of deleted snapshots stay.
    #[serde(deserialize_with = "duration")]
    pub keep_history: Duration,
    /// For how long it is kept who did what.
    #[serde(deserialize_with = "duration")]
    pub keep_audit: Duration,
}

/// How long snapshots stay that are no longer handed out.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionConfig {
    /// Snapshots of each store, the live one among them.
    pub keep: u32,
    /// For how long a snapshot stays after another took its place or its store is gone.
    #[serde(deserialize_with = "duration")]
    pub min_age: Duration,
    /// For how long an object stays that no snapshot refers to: an upload may be under way.
    #[serde(deserialize_with = "duration")]
    pub orphan_age: Duration,
}

impl CatalogConfig {
    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        positive("catalog.keep_history", self.keep_history)?;
        positive("catalog.keep_audit", self.keep_audit)?;
        let url = self.url.expose();
        check_database_url("catalog.url", url)?;
        place(
            "catalog.url",
            url,
            &[
                ("sqlite:", "FILE"),
                ("postgres://", "HOST/DATABASE"),
                ("postgresql://", "HOST/DATABASE"),
            ],
        )
    }
}

impl RetentionConfig {
    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        if self.keep == 0 {
            return invalid(
                "retention.keep",
                "is 0; the live snapshot of a store always stays, so at least 1",
            );
        }
        Ok(())
    }
}

/// Checks that `url` has one of the forms of `schemes`: what it begins with, and what has to follow.
fn place(setting: &str, url: &str, schemes: &[(&str, &str)]) -> Result<(), SettingsError> {
    let found = schemes
        .iter()
        .find_map(|(scheme, what)| Some((scheme, what, url.strip_prefix(scheme)?)));
    match found {
        None => {
            let forms: Vec<String> = schemes
                .iter()
                .map(|(s, what)| format!("{s}{what}"))
                .collect();
            let shown = without_secrets(url);
            invalid(
                setting,
                format!("is {shown}; it must be {}", forms.join(", ")),
            )
        }
        Some((scheme, what, rest))
            if !what.is_empty() && rest.trim_start_matches("//").is_empty() =>
        {
            invalid(setting, format!("lacks {what} after {scheme}"))
        }
        Some(_) => Ok(()),
    }
}
