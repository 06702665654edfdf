//! Downloads one store into its operation log: every row, only what has changed since a base, or only the checkpoint.

use std::{path::PathBuf, sync::Arc, time::Duration};

use seedbed_protocol::{
    manifest::{Checkpoint, Download},
    message::SeedJob,
};

use tokio::sync::watch;

use super::{
    config_error::ConfigError,
    download_error::DownloadError,
    streams::{Streams, Until},
};
use crate::{
    buckets::{BucketCache, Session},
    metrics::{Counters, Metrics},
    oplog::{OpLog, Schema, SyncOptions, Synced},
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
    schema: Schema,
    subscription_ttl: Duration,
    cache_kib: u32,
    load_memory_kib: Option<u32>,
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
            schema,
            subscription_ttl: settings.schema.subscription_ttl,
            cache_kib: settings.worker.cache_mib.saturating_mul(1024),
            load_memory_kib: settings.worker.load_memory_kib(),
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

    /// Downloads every row of the job's store into the new database `file`.
    ///
    /// # Errors
    /// [`DownloadError`]; the file is of no use then.
    pub(super) async fn download(
        &self,
        job: &SeedJob,
        file: PathBuf,
    ) -> Result<Downloaded, DownloadError> {
        let log = OpLog::create(file, self.schema.clone(), self.options(job)).await?;
        let store = job.scope.store_id.as_str();
        let buckets = self.buckets.clone();
        let buckets = buckets.map(|cache| Session::new(cache, store));
        self.complete(job, log, CHECKSUM_RETRIES, buckets).await
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
        let (schema, options) = (self.schema.clone(), self.options(job));
        let log = OpLog::resume(base, schema, options, is_logged).await?;
        self.complete(job, log, 0, None).await
    }

    async fn complete(
        &self,
        job: &SeedJob,
        mut log: OpLog,
        checksum_retries: u32,
        buckets: Option<Session>,
    ) -> Result<Downloaded, DownloadError> {
        let until = Until::Complete { checksum_retries };
        // On the heap: it is the largest part of a job, whose steps are each other's.
        let following = Box::pin(self.streams.follow(job, &mut log, until, buckets));
        let mut download = following.await?;
        let without_bucket = log.without_bucket();
        let database = log.finish().await?;
        download.waited_millis = database.waited.as_millis().try_into().unwrap_or(u64::MAX);
        Ok(Downloaded {
            database,
            download,
            without_bucket,
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
        let log = OpLog::compare(positions, self.schema.clone(), self.options(job));
        Ok(log.await?)
    }

    fn options(&self, job: &SeedJob) -> SyncOptions {
        SyncOptions {
            parameters: job.parameters.0.clone(),
            default_streams: job.default_streams,
            subscriptions: job.subscriptions.clone(),
            subscription_ttl: self.subscription_ttl.as_secs(),
            cache_kib: self.cache_kib,
            load_memory_kib: self.load_memory_kib,
        }
    }
}
