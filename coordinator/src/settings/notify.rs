//! `[notify]`: what people are told of by a webhook, and how.

use std::time::Duration;

use seedbed_protocol::settings::{
    Secret, SettingsError, duration, invalid, list, optional_secret, positive,
};
use serde::Deserialize;
use url::Url;

/// The names of events, as `notify.events` has them.
const EVENTS: [&str; 4] = [
    "run_failed",
    "freshness_missed",
    "new_reason",
    "config_changed",
];

/// How a webhook is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NotifyTemplate {
    /// Seedbed's own JSON.
    Json,
    /// A message of Slack's incoming webhooks.
    Slack,
    /// An event of PagerDuty's Events API, version 2.
    Pagerduty,
}

/// Notices by a webhook.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotifyConfig {
    /// The URL that is told.
    #[serde(default, deserialize_with = "optional_secret")]
    pub webhook: Option<Secret>,
    /// How it is told.
    pub template: NotifyTemplate,
    /// PagerDuty's routing key.
    #[serde(default, deserialize_with = "optional_secret")]
    pub routing_key: Option<Secret>,
    /// What signs requests.
    #[serde(default, deserialize_with = "optional_secret")]
    pub signing_secret: Option<Secret>,
    /// What is told.
    #[serde(deserialize_with = "list")]
    pub events: Vec<String>,
    /// Whether the webhook may be at a private address, or by http.
    pub allow_private: bool,
    /// How often a notice is tried.
    pub max_attempts: u32,
    /// The pause after the first try.
    #[serde(deserialize_with = "duration")]
    pub backoff: Duration,
}

impl NotifyConfig {
    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        if let Some(webhook) = &self.webhook {
            let schemes: &[&str] = if self.allow_private {
                &["https", "http"]
            } else {
                &["https"]
            };
            let url = Url::parse(webhook.expose()).ok();
            let is_right = |url: &Url| schemes.contains(&url.scheme()) && url.host().is_some();
            if !url.as_ref().is_some_and(is_right) {
                return invalid(
                    "notify.webhook",
                    "must be an https:// URL (http:// with notify.allow_private)",
                );
            }
        }
        if self.template == NotifyTemplate::Pagerduty
            && self.webhook.is_some()
            && self.routing_key.is_none()
        {
            return invalid("notify.routing_key", "is missing: PagerDuty asks for it");
        }
        if let Some(unknown) = self
            .events
            .iter()
            .find(|name| !EVENTS.contains(&name.as_str()))
        {
            let known = EVENTS.join(", ");
            return invalid(
                "notify.events",
                format!("has {unknown:?}; known are {known}"),
            );
        }
        if self.max_attempts == 0 {
            return invalid("notify.max_attempts", "must be at least 1");
        }
        positive("notify.backoff", self.backoff)
    }
}
