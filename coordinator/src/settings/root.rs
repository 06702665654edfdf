//! The settings of the coordinator, and of the worker that it may run.
//!
//! Whether the values make sense is checked once, at the start, by [`Settings::check_catalog`] and
//! [`Settings::check_seeding`].

use std::{path::Path, time::Duration};

use seedbed_protocol::{
    broker::BrokerConfig,
    settings::{
        self, Secret, SettingsError, duration, invalid, optional_duration, positive,
        without_secrets,
    },
    telemetry::LogConfig,
};
use seedbed_worker::config::{
    PowerSyncConfig, SchemaConfig, SnapshotsConfig, TokenConfig, WorkerConfig, WorkerSettings,
};
use serde::Deserialize;
use serde_json::Value as Json;

use super::serve::{DownloadConfig, ServeConfig};
use seedbed_protocol::template;

/// PowerSync's lowest stream priority.
const LAST_PRIORITY: u8 = 3;

/// All settings of the coordinator and of the worker that it runs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// `[source]`
    pub source: SourceConfig,
    /// `[powersync]`
    pub powersync: PowerSyncConfig,
    /// `[token]`
    pub token: TokenConfig,
    /// `[schema]`
    pub schema: SchemaConfig,
    /// `[sync]`
    pub sync: SyncConfig,
    /// `[parameters]`: sync parameters, as templates.
    pub parameters: serde_json::Map<String, Json>,
    /// `[[streams]]`
    #[serde(default)]
    pub streams: Vec<StreamConfig>,
    /// `[snapshots]`
    pub snapshots: SnapshotsConfig,
    /// `[catalog]`
    pub catalog: CatalogConfig,
    /// `[broker]`
    pub broker: BrokerConfig,
    /// `[retention]`
    pub retention: RetentionConfig,
    /// `[serve]`
    pub serve: ServeConfig,
    /// `[download]`
    pub download: DownloadConfig,
    /// `[worker]`
    pub worker: WorkerConfig,
    /// `[log]`
    pub log: LogConfig,
}

/// Where the list of stores comes from.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// A database to query, or `file:FILE`. Secret because of the password that it may contain.
    pub url: Option<Secret>,
    /// The query, for a database.
    pub query: Option<String>,
    /// The column with the store's id.
    pub store_id: String,
}

/// What is synced beside the explicit streams.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyncConfig {
    /// Whether the streams that the sync config subscribes every client to are synced as well.
    pub default_streams: bool,
    /// Whether a job may start from the store's live snapshot.
    pub reuse: bool,
    /// How often every row of a store is downloaded all the same; `None` for only when it has to be.
    #[serde(default, deserialize_with = "optional_duration")]
    pub full_every: Option<Duration>,
}

/// An explicit subscription to a Sync Stream.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamConfig {
    /// Its name in the sync config.
    pub stream: String,
    /// Its parameters, as templates.
    pub parameters: Option<serde_json::Map<String, Json>>,
    /// Overrides its priority, 0 (first) to 3.
    pub priority: Option<u8>,
}

/// Where runs, jobs and snapshots are recorded.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogConfig {
    /// `sqlite:FILE` or `postgres://…`. Secret because of the password that it may contain.
    pub url: Secret,
}

/// How long snapshots stay that clients no longer get.
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

impl Settings {
    /// Reads the settings of this process, see [`settings::load`].
    ///
    /// # Errors
    /// [`SettingsError`] names the first setting that is unknown or of the wrong type.
    pub fn load(file: Option<&Path>) -> Result<Self, SettingsError> {
        settings::load(file)
    }

    /// Checks what every command needs: where the catalog and the snapshots are, and what stays of them.
    ///
    /// # Errors
    /// [`SettingsError::Invalid`] names the setting.
    pub fn check_catalog(&self) -> Result<(), SettingsError> {
        if self.retention.keep == 0 {
            return invalid(
                "retention.keep",
                "is 0; the live snapshot of a store always stays, so at least 1",
            );
        }
        place(
            "catalog.url",
            self.catalog.url.expose(),
            &[
                ("sqlite:", "FILE"),
                ("postgres://", "HOST/DATABASE"),
                ("postgresql://", "HOST/DATABASE"),
            ],
        )
    }

    /// Checks what `seedbed local` needs.
    ///
    /// # Errors
    /// [`SettingsError::Invalid`] names the first setting that is missing or makes no sense.
    pub fn check_local(&self) -> Result<(), SettingsError> {
        self.check_seeding()?;
        if !self.broker.is_memory() {
            return invalid(
                "broker.url",
                "names a broker, which `seedbed local` does not use: `seedbed run` seeds by the workers of a \
                 cluster, and memory: in this process",
            );
        }
        if !self.catalog.url.expose().starts_with("sqlite:") {
            return invalid(
                "catalog.url",
                "names a server, whose jobs `seedbed local` would take for its own; use sqlite:FILE, or \
                 `seedbed run`",
            );
        }
        Ok(())
    }

    /// Checks what the coordinator of a cluster needs. Its workers have settings of their own.
    ///
    /// # Errors
    /// [`SettingsError::Invalid`] names the first setting that is missing or makes no sense.
    pub fn check_cluster(&self) -> Result<(), SettingsError> {
        self.check_catalog()?;
        if self.broker.is_memory() {
            return invalid(
                "broker.url",
                "is memory:, which no worker of another process can reach; set it to the amqp:// URL of your \
                 RabbitMQ, or use `seedbed local`",
            );
        }
        positive("worker.job_timeout", self.worker.job_timeout)?;
        self.broker.check(self.worker.job_timeout)?;
        self.check_stores()
    }

    /// Checks everything that seeding needs.
    ///
    /// # Errors
    /// [`SettingsError::Invalid`] names the first setting that is missing or makes no sense.
    pub fn check_seeding(&self) -> Result<(), SettingsError> {
        self.check_catalog()?;
        self.worker_settings().check()?;
        self.check_stores()
    }

    /// Checks what the HTTP server needs, beside what seeding needs.
    ///
    /// # Errors
    /// [`SettingsError::Invalid`] names the first setting that makes no sense.
    pub fn check_serve(&self) -> Result<(), SettingsError> {
        self.serve.check()?;
        self.download.check(self.retention.min_age)
    }

    fn check_stores(&self) -> Result<(), SettingsError> {
        if self.source.store_id.trim().is_empty() {
            return invalid(
                "source.store_id",
                "is empty; name the column with the store's id",
            );
        }
        self.check_templates()
    }

    fn check_templates(&self) -> Result<(), SettingsError> {
        for (name, value) in &self.parameters {
            template_of(&format!("parameters.{name}"), value)?;
        }
        template_of("token.subject", &Json::from(self.token.subject.as_str()))?;
        for (index, stream) in self.streams.iter().enumerate() {
            let setting = |name: &str| format!("streams.{index}.{name}");
            if stream.stream.trim().is_empty() {
                return invalid(
                    setting("stream"),
                    "is empty; name a stream of the sync config",
                );
            }
            if stream.priority.is_some_and(|p| p > LAST_PRIORITY) {
                return invalid(setting("priority"), "must be 0 (synced first) to 3");
            }
            for (name, value) in stream.parameters.iter().flatten() {
                template_of(&setting(&format!("parameters.{name}")), value)?;
            }
        }
        Ok(())
    }

    /// What the worker of this process needs to know.
    pub fn worker_settings(&self) -> WorkerSettings {
        WorkerSettings {
            powersync: self.powersync.clone(),
            token: self.token.clone(),
            schema: self.schema.clone(),
            snapshots: self.snapshots.clone(),
            worker: self.worker.clone(),
            log: self.log.clone(),
        }
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

fn template_of(setting: &str, value: &Json) -> Result<(), SettingsError> {
    template::check(value).or_else(|e| invalid(setting, format!("is no template: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        powersync.endpoint = "https://powersync.example.com"
        token.secret = "c2VjcmV0"
    "#;

    fn load(text: &str, variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("my.toml");
        std::fs::write(&path, text).unwrap();
        let variables = variables
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        let settings: Settings = settings::merge(Some(&path), variables)?;
        settings.check_local()?;
        Ok(settings)
    }

    fn refused(text: &str, variables: &[(&str, &str)]) -> String {
        load(text, variables).unwrap_err().to_string()
    }

    #[test]
    fn the_defaults_need_only_an_endpoint_and_a_secret() {
        let settings = load(GOOD, &[]).unwrap();
        assert_eq!(settings.worker.max_attempts, 5);
        assert_eq!(settings.token.lifetime, Duration::from_secs(300));
        assert_eq!(settings.schema.subscription_ttl.as_secs(), 90 * 86_400);
        assert!(settings.streams.is_empty() && settings.parameters.is_empty());
    }

    #[test]
    fn a_variable_overrides_the_file_and_keeps_digits_as_text() {
        let settings = load(
            GOOD,
            &[
                ("SEEDBED_TOKEN__SECRET", "12345678"),
                ("SEEDBED_WORKER__SLOTS", "3"),
                ("SEEDBED_CONFIG", "my.toml"),
                ("PATH", "/bin"),
            ],
        )
        .unwrap();
        assert_eq!(settings.token.secret.unwrap().expose(), "12345678");
        assert_eq!(settings.worker.slots, Some(3));
    }

    #[test]
    fn a_variable_keeps_the_case_of_a_parameter() {
        let variables = [
            ("SEEDBED_PARAMETERS__storeRegion", "EU"),
            ("SEEDBED_PARAMETERS__Limits__MAX", "5"),
        ];
        let settings = load(GOOD, &variables).unwrap();
        assert_eq!(
            Json::from(settings.parameters),
            serde_json::json!({"storeRegion": "EU", "Limits": {"MAX": "5"}})
        );
    }

    #[test]
    fn streams_and_parameters_keep_their_json_types() {
        let text = format!(
            "{GOOD}\n[parameters]\nlimit = 5\nlive = true\n\
             [[streams]]\nstream = \"s\"\npriority = 1\nparameters = {{ store = \"{{{{id}}}}\", n = 1 }}\n"
        );
        let settings = load(&text, &[]).unwrap();
        assert_eq!(
            Json::from(settings.parameters),
            serde_json::json!({"limit": 5, "live": true})
        );
        let stream = &settings.streams[0];
        assert_eq!(stream.priority, Some(1));
        assert_eq!(
            Json::from(stream.parameters.clone().unwrap()),
            serde_json::json!({"n": 1, "store": "{{id}}"})
        );
    }

    #[test]
    fn a_misspelt_setting_is_named_with_its_file_and_the_nearest_name() {
        let error = refused(&format!("{GOOD}\nworker.slot = 3"), &[]);
        assert!(
            error.contains("worker.slot ") && error.contains("my.toml"),
            "{error}"
        );
        assert!(error.contains("did you mean slots?"), "{error}");
        let error = refused(&format!("{GOOD}\n[workr]\nslots = 3"), &[]);
        assert!(
            error.contains("workr") && error.contains("did you mean worker?"),
            "{error}"
        );
        let error = refused(
            &format!("{GOOD}\n[[streams]]\nstream = \"x\"\nprio = 1"),
            &[],
        );
        assert!(
            error.contains("streams") && error.contains("prio") && error.contains("priority"),
            "{error}"
        );
    }

    #[test]
    fn an_unknown_variable_is_named() {
        let error = refused(GOOD, &[("SEEDBED_TOKEN__SECRT", "x")]);
        assert!(error.contains("SEEDBED_TOKEN__SECRT"), "{error}");
        assert!(
            error.contains("token.secrt") && error.contains("did you mean secret?"),
            "{error}"
        );
        let error = refused(GOOD, &[("SEEDBED_SECRET", "hunter2")]);
        assert!(
            error.contains("SEEDBED_SECRET") && error.contains("powersync"),
            "{error}"
        );
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn a_secret_of_the_wrong_type_is_not_shown() {
        for secret in ["424242", "[\"424242\"]", "true", "{ a = \"424242\" }"] {
            let error = refused(&format!("token.secret = {secret}"), &[]);
            assert!(
                error.contains("token.secret") && error.contains("my.toml"),
                "{error}"
            );
            assert!(!error.contains("424242"), "{error}");
        }
        let error = refused("[token]\nsecret = \"424242", &[]);
        assert!(
            error.contains("line 2") && !error.contains("424242"),
            "{error}"
        );
        let error = refused(GOOD, &[("SEEDBED_TOKEN", "424242")]);
        assert!(
            error.contains("SEEDBED_TOKEN") && !error.contains("424242"),
            "{error}"
        );
        let shown = format!("{:?}", load(GOOD, &[]).unwrap());
        assert!(!shown.contains("c2VjcmV0"), "{shown}");
    }

    #[test]
    fn a_password_in_a_url_is_not_shown() {
        for (variable, value) in [
            ("SEEDBED_CATALOG__URL", "postgres://me:hunter2@db/c"),
            ("SEEDBED_CATALOG__URL", "postgres://me:hunter2/x@db/c"),
            ("SEEDBED_CATALOG__URL", "me:hunter2@db/c"),
            (
                "SEEDBED_BROKER__URL",
                "amqp://me:hunter2@mq:5672/?k=hunter2",
            ),
            ("SEEDBED_POWERSYNC__ENDPOINT", "https://me:hunter2@ps"),
            ("SEEDBED_POWERSYNC__ENDPOINT", "ftp://me:hunter2@ps"),
            ("SEEDBED_POWERSYNC__ENDPOINT", "https://me:hunter2@ps:port"),
        ] {
            let error = refused(GOOD, &[(variable, value)]);
            assert!(
                error.contains("url ") || error.contains("endpoint "),
                "{error}"
            );
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (setting, value) in [
            ("powersync.endpoint", ""),
            ("powersync.endpoint", "powersync.example.com"),
            ("powersync.endpoint", "ftp://powersync.example.com"),
            ("powersync.idle_timeout", "soon"),
            ("powersync.compression", "brotli"),
            ("token.secret", ""),
            ("token.secret", "not base64url!"),
            ("token.key_file", "key.pem"),
            ("token.lifetime", "61m"),
            ("token.lifetime", "0s"),
            ("token.subject", "{{id"),
            ("worker.slots", "0"),
            ("worker.slots", "many"),
            ("worker.max_attempts", "0"),
            ("worker.backoff", "2h"),
            ("catalog.url", "mongodb://x"),
            ("catalog.url", "sqlite:"),
            ("snapshots.renditions", "brotli"),
            ("snapshots.renditions", "gzip,gzip"),
            ("snapshots.latest", "sometimes"),
            ("broker.url", "carrier-pigeon:"),
        ] {
            let variable = format!("SEEDBED_{}", setting.to_uppercase().replace('.', "__"));
            let error = refused(GOOD, &[(&variable, value)]);
            assert!(error.contains(setting), "{setting} = {value:?}: {error}");
        }
    }

    #[test]
    fn key_and_secret_must_fit_the_algorithm() {
        let error = refused(GOOD, &[("SEEDBED_TOKEN__ALGORITHM", "ES256")]);
        assert!(
            error.contains("token.key_file") && error.contains("ES256"),
            "{error}"
        );
        let variables = [
            ("SEEDBED_TOKEN__ALGORITHM", "ES256"),
            ("SEEDBED_TOKEN__KEY_FILE", "key.pem"),
        ];
        let error = refused(GOOD, &variables);
        assert!(error.contains("token.secret"), "{error}");
    }
}
