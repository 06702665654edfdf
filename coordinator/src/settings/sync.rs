//! `[sync]`, `[parameters]` and `[[streams]]`: what a job asks PowerSync for.

use std::time::Duration;

use seedbed_protocol::{
    settings::{ObjectTemplate, TemplateError, TextTemplate},
    settings::{SettingsError, duration, invalid, optional_duration},
};
use serde::Deserialize;
use serde_json::{Map, Value as Json};

/// PowerSync's lowest stream priority.
const LAST_PRIORITY: u8 = 3;

/// What is synced in addition to the explicit streams, and how.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyncConfig {
    /// Whether the streams that the sync config subscribes every client to are synced as well.
    pub default_streams: bool,
    /// Whether a job may start from the store's live snapshot.
    pub reuse: bool,
    /// How often every row of a store is downloaded even if its snapshot could be reused; `None` for never.
    #[serde(default, deserialize_with = "optional_duration")]
    pub full_every: Option<Duration>,
    /// After how many failed sweeps in a row a store is quarantined; 0 for never.
    pub quarantine_after: u32,
    /// From the last failure of a quarantined store to its first probe. Doubled after each failed one.
    #[serde(deserialize_with = "duration")]
    pub quarantine_pause: Duration,
    /// The longest of these pauses.
    #[serde(deserialize_with = "duration")]
    pub quarantine_max_pause: Duration,
    /// How long a command waits at its start for parts that do not answer.
    #[serde(deserialize_with = "duration")]
    pub wait_for_parts: Duration,
    /// Whether a server seeds all stores again as soon as a job finds that the sync config has changed.
    pub reseed_on_config_change: bool,
}

/// An explicit subscription to a Sync Stream.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamConfig {
    /// Its name in the sync config.
    pub stream: String,
    /// Its parameters, as templates.
    pub parameters: Option<Map<String, Json>>,
    /// Overrides its priority, 0 (first) to 3.
    pub priority: Option<u8>,
}

/// The templates that are filled in for each store, parsed once.
#[derive(Debug, Clone)]
pub struct Templates {
    /// `token.subject`, which the worker fills in.
    pub subject: TextTemplate,
    /// `[parameters]`.
    pub parameters: ObjectTemplate,
    /// `[[streams]]`.
    pub streams: Vec<StreamTemplate>,
}

/// An explicit subscription whose parameters are filled in for each store.
#[derive(Debug, Clone)]
pub struct StreamTemplate {
    pub stream: String,
    pub parameters: Option<ObjectTemplate>,
    pub priority: Option<u8>,
}

impl SyncConfig {
    pub(super) fn check(&self) -> Result<(), SettingsError> {
        if self.quarantine_max_pause < self.quarantine_pause {
            return invalid(
                "sync.quarantine_max_pause",
                "is shorter than sync.quarantine_pause, the first of these pauses",
            );
        }
        Ok(())
    }
}

impl Templates {
    /// Parses the templates of these settings, and checks the streams that they belong to.
    pub(super) fn parse(
        subject: &str,
        parameters: &Map<String, Json>,
        streams: &[StreamConfig],
    ) -> Result<Self, SettingsError> {
        let parameters = object("parameters", parameters)?;
        let subject = TextTemplate::parse(subject)
            .map_err(|error| no_template("token.subject".to_owned(), &error))?;
        let streams = streams.iter().enumerate().map(|(index, stream)| {
            stream.check(index)?;
            let parameters = stream.parameters.as_ref();
            let setting = format!("streams.{index}.parameters");
            let parameters = parameters.map(|template| object(&setting, template));
            Ok(StreamTemplate {
                stream: stream.stream.clone(),
                parameters: parameters.transpose()?,
                priority: stream.priority,
            })
        });
        Ok(Self {
            subject,
            parameters,
            streams: streams.collect::<Result<_, _>>()?,
        })
    }
}

fn object(setting: &str, template: &Map<String, Json>) -> Result<ObjectTemplate, SettingsError> {
    ObjectTemplate::parse(template)
        .map_err(|(name, error)| no_template(format!("{setting}.{name}"), &error))
}

fn no_template(setting: String, error: &TemplateError) -> SettingsError {
    SettingsError::Invalid {
        setting,
        problem: format!("is no template: {error}"),
    }
}

impl StreamConfig {
    fn check(&self, index: usize) -> Result<(), SettingsError> {
        if self.stream.trim().is_empty() {
            return invalid(
                format!("streams.{index}.stream"),
                "is empty; name a stream of the sync config",
            );
        }
        if self.priority.is_some_and(|p| p > LAST_PRIORITY) {
            return invalid(
                format!("streams.{index}.priority"),
                "must be 0 (synced first) to 3",
            );
        }
        Ok(())
    }
}
