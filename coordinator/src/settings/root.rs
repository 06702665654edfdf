//! All sections together, and which of them each command checks at its start.

use std::path::Path;

use seedbed_protocol::{
    broker::BrokerConfig,
    settings::{self, SettingsError, invalid, positive},
    telemetry::LogConfig,
};
use seedbed_worker::settings::{
    BucketsConfig, PowerSyncConfig, SchemaConfig, SnapshotsConfig, TokenConfig, VerifyConfig,
    WorkerConfig, WorkerSettings,
};
use serde::Deserialize;
use serde_json::Value as Json;

use super::{
    catalog::{CatalogConfig, RetentionConfig},
    cost::CostConfig,
    download::DownloadConfig,
    login::LoginConfig,
    notify::NotifyConfig,
    reports::ReportsConfig,
    serve::ServeConfig,
    source::SourceConfig,
    sync::{StreamConfig, SyncConfig, Templates},
};

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
    /// `[verify]`
    pub verify: VerifyConfig,
    /// `[buckets]`
    pub buckets: BucketsConfig,
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
    /// `[reports]`
    pub reports: ReportsConfig,
    /// `[cost]`
    pub cost: CostConfig,
    /// `[login]`
    pub login: LoginConfig,
    /// `[notify]`
    pub notify: NotifyConfig,
    /// `[worker]`
    pub worker: WorkerConfig,
    /// `[log]`
    pub log: LogConfig,
}

impl Settings {
    /// Reads the settings of this process, see [`settings::load`].
    ///
    /// # Errors
    /// [`SettingsError`] names the first setting that is unknown, of the wrong type, or has no sensible value.
    pub fn load(file: Option<&Path>) -> Result<Self, SettingsError> {
        let settings: Self = settings::load(file)?;
        settings.check_values()?;
        Ok(settings)
    }

    /// Checks every value by itself, whatever the command needs: a wrong one is refused before anything is started.
    ///
    /// # Errors
    /// [`SettingsError::Invalid`] names the first setting that has no sensible value.
    pub fn check_values(&self) -> Result<(), SettingsError> {
        self.check_catalog()?;
        self.worker_settings().check_values()?;
        self.broker.check_values()?;
        self.source.check()?;
        self.sync.check()?;
        self.serve.check()?;
        self.download.check_values()?;
        self.cost.check()?;
        self.login.check_values()?;
        self.notify.check()?;
        self.templates().map(drop)
    }

    /// Checks what every command needs: where the catalog and the snapshots are, and what stays of them.
    ///
    /// # Errors
    /// [`SettingsError::Invalid`] names the setting.
    pub fn check_catalog(&self) -> Result<(), SettingsError> {
        self.retention.check()?;
        self.snapshots.check()?;
        self.reports.check()?;
        self.catalog.check()
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

    /// Checks what the HTTP server needs in addition to what seeding needs.
    ///
    /// # Errors
    /// [`SettingsError::Invalid`] names the first setting that makes no sense.
    pub fn check_serve(&self) -> Result<(), SettingsError> {
        self.serve.check()?;
        self.login.check(self.serve.open_admin)?;
        self.cost.check()?;
        self.download.check(self.retention.min_age)
    }

    fn check_stores(&self) -> Result<(), SettingsError> {
        self.source.check()?;
        self.templates().map(drop)
    }

    /// Parses the templates that are filled in for each store.
    ///
    /// # Errors
    /// [`SettingsError::Invalid`] names the setting that is no template.
    pub fn templates(&self) -> Result<Templates, SettingsError> {
        Templates::parse(&self.token.subject, &self.parameters, &self.streams)
    }

    /// Returns the settings of the worker of this process.
    pub fn worker_settings(&self) -> WorkerSettings {
        WorkerSettings {
            powersync: self.powersync.clone(),
            token: self.token.clone(),
            schema: self.schema.clone(),
            snapshots: self.snapshots.clone(),
            verify: self.verify.clone(),
            buckets: self.buckets.clone(),
            worker: self.worker.clone(),
            log: self.log.clone(),
        }
    }
}
