//! Downloads one store into its operation log: every row, only what has changed since a base, or only the checkpoint.

use std::{path::PathBuf, sync::Arc};

use seedbed_protocol::{
    manifest::{Checkpoint, Download},
    message::SeedJob,
    telemetry::trace::attribute,
};
use tokio::sync::watch;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{
    config_error::ConfigError,
    download_error::DownloadError,
    streams::{AGAIN_FILE, Begun, LogSettings, Logs, Shared, Streams, Until},
};
use crate::{
    buckets::{BucketCache, Session, Template, TemplateError},
    metrics::{Counters, Metrics},
    oplog::{OpLog, Schema, Synced},
    settings::WorkerSettings,
};

/// How often buckets whose checksum is wrong are downloaded again within one attempt.
const CHECKSUM_RETRIES: u32 = 1;

/// A downloaded store.
pub(super) struct Downloaded {
    /// The database with its rows.
    pub(super) database: Synced,
    /// What the download took.
    pub(super) download: Download,
    /// Explicit subscriptions that select no bucket.
    pub(super) without_bucket: Vec<String>,
    /// The template that it began with.
    pub(super) begun: Option<Begun>,
}

impl Downloaded {
    /// Returns what a person should know: the subscriptions that select no bucket. A store may truly have none, so this is
    /// no error.
    pub(super) fn notes(&self) -> Vec<String> {
        let note = |subscription| {
            format!(
                "the subscription to {subscription} selects no bucket, so its rows are missing: is a parameter misspelt?"
            )
        };
        self.without_bucket.iter().map(note).collect()
    }
}

/// What the service holds for a job, and what the comparison took.
pub(super) struct Compared {
    pub(super) checkpoint: Checkpoint,
    pub(super) download: Download,
    /// Explicit subscriptions that select no bucket.
    pub(super) without_bucket: Vec<String>,
}

/// Downloads stores from one PowerSync service.
pub(super) struct Downloader {
    streams: Streams,
    buckets: Option<Arc<BucketCache>>,
    logs: LogSettings,
}

impl Downloader {
    pub(super) fn new(
        settings: &WorkerSettings,
        schema: Schema,
        buckets: Option<Arc<BucketCache>>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            streams: Streams::new(settings, metrics)?,
            buckets,
            logs: LogSettings::new(settings, schema),
        })
    }

    /// Returns the counters of all downloads.
    pub(super) fn progress(&self) -> Arc<Counters> {
        self.streams.progress()
    }

    /// Tells how many jobs wait for the service's limit of streams.
    pub(super) fn waiting(&self) -> watch::Receiver<u16> {
        self.streams.gate.waiting()
    }

    /// Waits until everything that the bucket cache keeps is stored.
    pub(super) async fn kept(&self) {
        if let Some(buckets) = &self.buckets {
            buckets.settled().await;
        }
    }

    /// Downloads every row of the job's store into the new database `file`, or one beside it; what other stores have as well
    /// may be there already, in a copy of a template. If it `checks_changes`, such a copy stays as it is until it is finished.
    ///
    /// # Errors
    /// [`DownloadError`]; the file is of no use then.
    pub(super) async fn download(
        &self,
        job: &SeedJob,
        file: PathBuf,
        checks_changes: bool,
    ) -> Result<Downloaded, DownloadError> {
        let shares = |cache| Session::new(cache, job.scope.store_id.as_str());
        let (downloaded, begun) = self
            .every_row(job, file.clone(), shares, checks_changes)
            .await;
        match (downloaded, begun) {
            (Err(DownloadError::Database(error)), Some(begun)) => {
                self.refuse(&begun.template, &TemplateError::from(error));
                self.download_anew(job, file).await
            }
            (Ok(downloaded), Some(begun)) => {
                let operations = attribute(begun.template.operations());
                Span::current().set_attribute("seedbed.template_operations", operations);
                Ok(Downloaded {
                    begun: Some(begun),
                    ..downloaded
                })
            }
            (downloaded, _) => downloaded,
        }
    }

    /// Downloads every row into a new database beside `file`, after one that began with a template.
    ///
    /// # Errors
    /// [`DownloadError`]
    pub(super) async fn download_anew(
        &self,
        job: &SeedJob,
        file: PathBuf,
    ) -> Result<Downloaded, DownloadError> {
        let shares = |cache| Session::from_nothing(cache, job.scope.store_id.as_str());
        let file = file.with_file_name(AGAIN_FILE);
        let (downloaded, _) = Box::pin(self.every_row(job, file, shares, false)).await;
        downloaded
    }

    async fn every_row(
        &self,
        job: &SeedJob,
        file: PathBuf,
        shares: impl FnOnce(Arc<BucketCache>) -> Session,
        checks_changes: bool,
    ) -> (Result<Downloaded, DownloadError>, Option<Begun>) {
        let logs = Logs {
            settings: &self.logs,
            job,
            file,
        };
        let log = match logs.first().await {
            Ok(log) => log,
            Err(error) => return (Err(error.into()), None),
        };
        let session = self.buckets.clone().map(shares);
        let mut shared = session.map(|session| Shared::new(session, logs, checks_changes));
        let downloading = self.complete(job, log, CHECKSUM_RETRIES, shared.as_mut());
        (downloading.await, shared.and_then(Shared::begun))
    }

    /// Drops a template that is of no use.
    pub(super) fn refuse(&self, template: &Template, error: &TemplateError) {
        if let Some(buckets) = &self.buckets {
            buckets.refuse_template(template, error);
        }
    }

    /// Returns how many operations of a store at `checkpoint` are in a template already.
    pub(super) fn prepared(&self, checkpoint: &Checkpoint) -> u64 {
        let buckets = self.buckets.as_ref();
        buckets.map_or(0, |buckets| buckets.prepared(checkpoint))
    }

    /// Downloads what has changed since `base`, a snapshot of the job's store, and adds it to that file. Buckets that
    /// do not match the service's checksums are not downloaded again: the snapshot itself may be at fault. If it
    /// `is_logged`, the file stays as it is until it is finished.
    ///
    /// # Errors
    /// [`DownloadError`]; `base` is of no use then.
    pub(super) async fn resume(
        &self,
        job: &SeedJob,
        base: PathBuf,
        is_logged: bool,
    ) -> Result<Downloaded, DownloadError> {
        let (schema, options) = (self.logs.schema.clone(), self.logs.of(job));
        let log = OpLog::resume(base, schema, options, is_logged).await?;
        self.complete(job, log, 0, None).await
    }

    async fn complete(
        &self,
        job: &SeedJob,
        mut log: OpLog,
        checksum_retries: u32,
        shared: Option<&mut Shared<'_>>,
    ) -> Result<Downloaded, DownloadError> {
        let until = Until::Complete { checksum_retries };
        // On the heap: it is the largest part of a job, whose steps are each other's.
        let following = Box::pin(self.streams.follow(job, &mut log, until, shared));
        let mut download = following.await?;
        let without_bucket = log.without_bucket();
        let database = log.finish().await?;
        download.waited_millis = database.waited.as_millis().try_into().unwrap_or(u64::MAX);
        Ok(Downloaded {
            database,
            download,
            without_bucket,
            begun: None,
        })
    }

    /// Asks the service what it holds for `job`, as a client would that has come as far as `positions`. The service
    /// then sends only the checkpoint if nothing has changed; no data is read in any case.
    ///
    /// # Errors
    /// [`DownloadError`]
    pub(super) async fn compare(
        &self,
        job: &SeedJob,
        positions: &Checkpoint,
    ) -> Result<Compared, DownloadError> {
        let mut log = self.comparing_log(job, positions.clone()).await?;
        let download = self
            .streams
            .follow(job, &mut log, Until::Target, None)
            .await?;
        Ok(Compared {
            checkpoint: log.compared(),
            download,
            without_bucket: log.without_bucket(),
        })
    }

    /// Opens the stream of `job` once, without retries, and reads its first checkpoint, but no data.
    ///
    /// # Errors
    /// The error that the job would fail with.
    pub(super) async fn probe(&self, job: &SeedJob) -> Result<Compared, DownloadError> {
        let nothing = Checkpoint::default();
        let mut log = self.comparing_log(job, nothing).await?;
        self.streams.probe(job, &mut log).await?;
        Ok(Compared {
            checkpoint: log.compared(),
            download: Download::default(),
            without_bucket: log.without_bucket(),
        })
    }

    async fn comparing_log(
        &self,
        job: &SeedJob,
        positions: Checkpoint,
    ) -> Result<OpLog, DownloadError> {
        let log = OpLog::compare(positions, self.logs.schema.clone(), self.logs.of(job));
        Ok(log.await?)
    }
}
