//! `[broker]` of the settings.

use std::{fmt, path::PathBuf, time::Duration};

use serde::{Deserialize, Deserializer, de};
use url::Url;

use super::error::BrokerError;
use crate::settings::{SettingsError, duration, invalid};

/// `[broker]` of the settings.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerConfig {
    /// `memory:`, `amqp://` or `amqps://`.
    pub url: BrokerUrl,
    /// A PEM file with certificate authorities that `amqps://` trusts in addition to the platform's.
    pub ca_file: Option<PathBuf>,
    /// Where RabbitMQ's management API is, if not at its usual port. Only `seedbed check` asks it.
    pub management_url: Option<Url>,
    /// How long a start waits for a broker that cannot be reached.
    #[serde(deserialize_with = "duration")]
    pub connect_timeout: Duration,
    /// How long a taken message may stay unsettled before RabbitMQ gives it to another consumer; longer than a job may
    /// take.
    #[serde(deserialize_with = "duration")]
    pub consumer_timeout: Duration,
    /// How long the message of a job that waits may be missing before the job is published again.
    #[serde(deserialize_with = "duration")]
    pub lost_after: Duration,
}

impl BrokerConfig {
    /// Returns the settings for `url`, the others with their defaults.
    pub fn new(url: BrokerUrl) -> Self {
        Self {
            url,
            ca_file: None,
            management_url: None,
            connect_timeout: Duration::from_secs(30),
            consumer_timeout: Duration::from_secs(2 * 60 * 60),
            lost_after: Duration::from_secs(30),
        }
    }

    /// Checks that RabbitMQ lets a worker finish a job.
    ///
    /// # Errors
    /// [`SettingsError::Invalid`] when it would take the job away before `job_timeout` has passed.
    pub fn check(&self, job_timeout: Duration) -> Result<(), SettingsError> {
        if self.consumer_timeout <= job_timeout {
            return invalid(
                "broker.consumer_timeout",
                "must be longer than worker.job_timeout, or RabbitMQ gives a long job to a second worker",
            );
        }
        Ok(())
    }

    /// Checks each value by itself.
    ///
    /// # Errors
    /// [`SettingsError::Invalid`] names the one that makes no sense.
    pub fn check_values(&self) -> Result<(), SettingsError> {
        match &self.management_url {
            Some(url) if !matches!(url.scheme(), "http" | "https") => invalid(
                "broker.management_url",
                "must be an http:// or https:// URL",
            ),
            _ => Ok(()),
        }
    }

    /// Returns whether messages stay in this process.
    pub fn is_memory(&self) -> bool {
        self.url.expose().scheme() == "memory"
    }
}

/// The URL of a broker. It may contain a password, so it is never shown whole.
#[derive(Clone, PartialEq, Eq)]
pub struct BrokerUrl(Url);

impl BrokerUrl {
    /// Reads `memory:`, `amqp://USER:PASSWORD@HOST:PORT/VHOST` or the same with `amqps://`.
    ///
    /// # Errors
    /// [`BrokerError::Setting`] without the text, which may be a secret.
    pub fn new(text: &str) -> Result<Self, BrokerError> {
        let invalid = |reason: &str| BrokerError::Setting {
            setting: "broker.url",
            reason: reason.to_owned(),
        };
        let url = Url::parse(text).map_err(|e| {
            invalid(&format!(
                "is not a URL ({e}); write characters such as '/' and '@' of a password as %2F and %40"
            ))
        })?;
        match url.scheme() {
            "memory" if url.as_str() == "memory:" => Ok(Self(url)),
            "amqp" | "amqps" if url.has_host() => Ok(Self(url)),
            "amqp" | "amqps" => Err(invalid("has no host; write amqp://HOST:PORT/VHOST")),
            _ => Err(invalid("must be memory:, amqp://… or amqps://…")),
        }
    }

    /// Returns the whole URL. Keep it out of logs, errors and messages.
    pub fn expose(&self) -> &Url {
        &self.0
    }
}

/// Scheme, host, port and virtual host.
impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(host) = self.0.host_str() else {
            return f.write_str(self.0.scheme());
        };
        write!(f, "{}://{host}", self.0.scheme())?;
        if let Some(port) = self.0.port() {
            write!(f, ":{port}")?;
        }
        f.write_str(self.0.path())
    }
}

impl fmt::Debug for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BrokerUrl({self})")
    }
}

impl<'de> Deserialize<'de> for BrokerUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str) -> Result<BrokerConfig, serde_json::Error> {
        serde_json::from_value(serde_json::json!({
            "url": url,
            "connect_timeout": "5s",
            "consumer_timeout": "2h",
            "lost_after": "30s",
        }))
    }

    #[test]
    fn the_password_is_never_shown() {
        let config = config("amqp://somebody:hunter2@mq:5672/v?k=hunter2").unwrap();
        assert_eq!(config.connect_timeout, Duration::from_secs(5));
        let shown = format!("{config:?} {}", config.url);
        assert!(shown.contains("amqp://mq:5672/v"));
        for secret in ["hunter2", "somebody"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }

    #[test]
    fn what_is_not_a_broker_is_refused_without_showing_it() {
        for url in [
            "hunter2",
            "redis://me:hunter2@mq",
            "amqp:hunter2",
            "memory:hunter2",
            "amqp://me:hunt/er2@mq",
        ] {
            let refused = config(url).unwrap_err().to_string();
            assert!(refused.contains("broker.url"), "{refused}");
            assert!(!refused.contains("hunt"), "{refused}");
        }
    }
}
