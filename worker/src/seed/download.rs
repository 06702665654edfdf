//! Downloads one store: opens streams, passes their lines to the operation log, and resumes a stream that breaks off
//! from the last operation that arrived.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use opentelemetry::KeyValue;
use opentelemetry_semantic_conventions::attribute::ERROR_TYPE;
use seedbed_protocol::{
    OpId,
    message::{BucketCheckpoint, Checkpoint, Download, SeedJob},
    settings::Secret,
    trace::{attribute, fail},
};
use serde_json::{Map, Value, json};
use tracing::{Instrument, Span, debug, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::config_error::ConfigError;
use crate::{
    backoff::Backoff,
    metrics::{Metrics, Progress},
    oplog::{
        Applied, DatabaseError, Schema, SyncDatabase, SyncStart, SyncedDatabase, TargetCheckpoint,
        last_ops,
        line::{LineKind, with_rows_as_text},
    },
    powersync::{Line, PowerSyncClient, StreamError, StreamGate, TokenError, TokenSigner},
    settings::WorkerSettings,
};

/// The pauses before a stream that brought nothing is opened again.
const STREAM_BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(250),
    longest: LONGEST_STREAM_PAUSE,
    jitter: 0.5..1.0,
};

/// The longest pause that a job waits by itself. Beyond it, the job goes back to the queue and its slot to another one.
const LONGEST_STREAM_PAUSE: Duration = Duration::from_secs(10);

/// How often buckets whose checksum is wrong are downloaded again within one attempt.
const CHECKSUM_RETRIES: u32 = 1;

/// Why a store was not downloaded.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// No token could be signed.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The stream was refused or broke off.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The claims select no bucket. An empty snapshot would look like a good one.
    #[error(
        "the claims select no bucket at all: is the store in the source, and do the sync config's parameters use these claims?"
    )]
    NoBucket,
    /// The service does not know a stream that the job subscribes to.
    #[error("the service's sync config has no stream {0:?}; check [[streams]]")]
    UnknownStream(String),
    /// The service could not resolve a stream, so that its rows would be missing.
    #[error("the service could not resolve the stream {stream:?}: {reason}")]
    BrokenStream {
        /// The stream's name.
        stream: String,
        /// The service's reason.
        reason: String,
    },
    /// The downloaded operations do not match the service's checksums.
    #[error("the downloaded operations do not match the service's checksums: {0}")]
    Checksum(String),
}

impl DownloadError {
    /// Returns the error's kind as one short word, for `error.type`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::Stream(error) => error.name(),
            Self::Database(_) => "sqlite",
            Self::NoBucket => "no_bucket",
            Self::UnknownStream(_) => "unknown_stream",
            Self::BrokenStream { .. } => "broken_stream",
            Self::Checksum(_) => "checksum",
        }
    }

    /// Whether another attempt could help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Token(_)
            | Self::NoBucket
            | Self::UnknownStream(_)
            | Self::BrokenStream { .. } => false,
            Self::Stream(error) => error.is_transient(),
            Self::Database(error) => error.is_transient(),
            Self::Checksum(_) => true,
        }
    }
}

/// A downloaded store.
pub(super) struct Downloaded {
    /// The database with its rows.
    pub(super) database: SyncedDatabase,
    /// The checkpoint that the rows are at.
    pub(super) checkpoint: Checkpoint,
    /// What the download took.
    pub(super) download: Download,
}

/// What the service holds for a job, and what the comparison took.
pub(super) struct Compared {
    pub(super) checkpoint: Checkpoint,
    pub(super) download: Download,
}

/// Downloads stores from one PowerSync service.
pub(super) struct Downloader {
    powersync: PowerSyncClient,
    streams: StreamGate,
    signer: TokenSigner,
    schema: Schema,
    subscription_ttl: Duration,
    cache_kib: u32,
    load_memory_kib: Option<u32>,
    max_reconnects: u32,
    progress: Arc<Progress>,
    metrics: Arc<Metrics>,
}

impl Downloader {
    pub(super) fn new(
        settings: &WorkerSettings,
        schema: Schema,
        metrics: Arc<Metrics>,
    ) -> Result<Self, ConfigError> {
        let max_streams = settings.powersync.max_streams;
        let max_streams = max_streams.unwrap_or_else(|| settings.worker.slots());
        Ok(Self {
            powersync: PowerSyncClient::new(&settings.powersync)?,
            streams: StreamGate::new(max_streams),
            signer: TokenSigner::new(&settings.token)?,
            schema,
            subscription_ttl: settings.schema.subscription_ttl,
            cache_kib: settings.worker.cache_mib.saturating_mul(1024),
            load_memory_kib: settings.worker.load_memory_kib(),
            max_reconnects: settings.powersync.max_reconnects,
            progress: Arc::default(),
            metrics,
        })
    }

    pub(super) fn progress(&self) -> Arc<Progress> {
        self.progress.clone()
    }

    /// Downloads every row of the job's store into the new database `file`.
    ///
    /// # Errors
    /// [`DownloadError`]; the file is of no use then.
    pub(super) async fn download(
        &self,
        job: &SeedJob,
        file: &Path,
    ) -> Result<Downloaded, DownloadError> {
        let (schema, start) = (self.schema.clone(), self.sync_start(job));
        let database = SyncDatabase::create(file.to_owned(), schema, start).await?;
        self.complete(job, database, CHECKSUM_RETRIES).await
    }

    /// Downloads what has changed since `base`, a snapshot of the job's store, and adds it to that file. Buckets that do
    /// not match the service's checksums are not downloaded again: the snapshot itself may be at fault.
    ///
    /// # Errors
    /// [`DownloadError`]; `base` is of no use then.
    pub(super) async fn resume(
        &self,
        job: &SeedJob,
        base: PathBuf,
    ) -> Result<Downloaded, DownloadError> {
        let (schema, start) = (self.schema.clone(), self.sync_start(job));
        let database = SyncDatabase::go_on(base, schema, start).await?;
        self.complete(job, database, 0).await
    }

    async fn complete(
        &self,
        job: &SeedJob,
        database: SyncDatabase,
        checksum_retries: u32,
    ) -> Result<Downloaded, DownloadError> {
        let mut download = Downloading::new(self, job, database);
        download.checksum_retries = checksum_retries;
        download.run().await?;
        let Downloading {
            database,
            target,
            mut download,
            ..
        } = download;
        let database = database.finish().await?;
        download.waited_millis = database.waited.as_millis().try_into().unwrap_or(u64::MAX);
        let last_ops = last_ops(&database.connection)?;
        let last_op = |bucket: &str| last_ops.get(bucket).copied().unwrap_or(OpId(0));
        let checkpoint = target.checkpoint(last_op);
        Ok(Downloaded {
            database,
            checkpoint,
            download,
        })
    }

    /// Asks the service what it holds for `job`, as a client would that has come as far as `positions`. The service then
    /// sends only the checkpoint if nothing has changed; no data is read in any case.
    ///
    /// # Errors
    /// [`DownloadError`]
    pub(super) async fn compare(
        &self,
        job: &SeedJob,
        positions: &Checkpoint,
    ) -> Result<Compared, DownloadError> {
        let (schema, start) = (self.schema.clone(), self.sync_start(job));
        let database = SyncDatabase::to_ask(schema, start).await?;
        let mut download = Downloading::new(self, job, database);
        download.positions = Some(positions);
        download.run().await?;
        let last_op = |bucket: &str| {
            let known = positions.buckets.iter().find(|b| b.bucket == bucket);
            known.map_or(OpId(0), |bucket| bucket.last_op)
        };
        Ok(Compared {
            checkpoint: download.target.checkpoint(last_op),
            download: download.download,
        })
    }

    /// Opens the stream of `job` once and reads its first checkpoint, but no data.
    ///
    /// # Errors
    /// The error that the job would fail with.
    pub(super) async fn probe(&self, job: &SeedJob) -> Result<Checkpoint, DownloadError> {
        let (schema, start) = (self.schema.clone(), self.sync_start(job));
        let mut database = SyncDatabase::to_ask(schema, start).await?;
        let request = database.start().await?;
        let token = self.signer.sign(&job.scope)?;
        let mut lines = self.powersync.open(request, &token).await?;
        while let Some(line) = lines.next().await? {
            if let LineKind::Checkpoint(checkpoint) = LineKind::of(&line)? {
                let mut target = TargetCheckpoint::default();
                target.replace(checkpoint);
                check_target(&target, job)?;
                return Ok(target.checkpoint(|_| OpId(0)));
            }
        }
        Err(
            StreamError::Dropped("the service ended it before the first checkpoint".to_owned())
                .into(),
        )
    }

    fn sync_start(&self, job: &SeedJob) -> SyncStart {
        SyncStart {
            parameters: job.parameters.0.clone(),
            default_streams: job.default_streams,
            subscriptions: job.subscriptions.clone(),
            subscription_ttl: self.subscription_ttl.as_secs(),
            cache_kib: self.cache_kib,
            load_memory_kib: self.load_memory_kib,
        }
    }
}

/// A download under way.
struct Downloading<'a> {
    downloader: &'a Downloader,
    job: &'a SeedJob,
    database: SyncDatabase,
    target: TargetCheckpoint,
    download: Download,
    /// How often buckets whose checksum is wrong are downloaded again.
    checksum_retries: u32,
    /// Where the first checkpoint is all that is wanted: how far to claim to have come.
    positions: Option<&'a Checkpoint>,
}

/// How a stream ended as it should.
enum Followed {
    /// All that was wanted is here.
    Enough,
    /// What came was refused, and why; the buckets to blame are gone.
    Refused(String),
}

impl From<Applied> for Followed {
    fn from(applied: Applied) -> Self {
        match applied {
            Applied::Yes => Self::Enough,
            Applied::No(reason) => Self::Refused(reason),
        }
    }
}

impl<'a> Downloading<'a> {
    fn new(downloader: &'a Downloader, job: &'a SeedJob, database: SyncDatabase) -> Self {
        Self {
            downloader,
            job,
            database,
            target: TargetCheckpoint::default(),
            download: Download::default(),
            checksum_retries: CHECKSUM_RETRIES,
            positions: None,
        }
    }

    /// Opens streams until what is wanted is here.
    async fn run(&mut self) -> Result<(), DownloadError> {
        let mut fruitless = 0;
        let mut wrong_checksums = 0;
        loop {
            let before = self.download.operations;
            match self.stream_once().await {
                Ok(Followed::Enough) => return Ok(()),
                Ok(Followed::Refused(reason)) => {
                    wrong_checksums += 1;
                    if wrong_checksums > self.checksum_retries {
                        return Err(DownloadError::Checksum(reason));
                    }
                }
                Err(DownloadError::Stream(error)) if error.is_transient() => {
                    fruitless = if self.download.operations > before {
                        0
                    } else {
                        fruitless + 1
                    };
                    let pause = pause(fruitless, error.retry_after());
                    if error.is_overload() {
                        self.downloader.streams.overloaded(pause);
                    }
                    if fruitless > self.downloader.max_reconnects || pause > LONGEST_STREAM_PAUSE {
                        return Err(error.into());
                    }
                    Span::current().add_event("resume", self.resumed(&error, pause));
                    debug!(
                        operations = self.download.operations,
                        "resuming the stream in {pause:?}: {error}"
                    );
                    // After an overload, the gate makes everybody wait.
                    if !error.is_overload() {
                        tokio::time::sleep(pause).await;
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// What the trace says about a stream that broke off.
    fn resumed(&self, error: &StreamError, pause: Duration) -> Vec<KeyValue> {
        let operations = attribute(self.download.operations);
        vec![
            KeyValue::new(ERROR_TYPE, error.name()),
            KeyValue::new("seedbed.operations", operations),
            KeyValue::new("seedbed.delay", pause.as_secs_f64()),
        ]
    }

    /// Opens a stream where the last one ended and follows it to what is wanted.
    async fn stream_once(&mut self) -> Result<Followed, DownloadError> {
        let mut request = self.database.start().await?;
        if let Some(positions) = self.positions {
            request = at_positions(&request, positions)?;
        }
        let token = self.sign()?;
        let pass = self.downloader.streams.enter().await;
        let before = self.download;
        let span = self.downloader.powersync.span(before.connections);
        self.download.connections += 1;
        let followed = self.follow(request, &token).instrument(span.clone()).await;
        let operations = self.download.operations - before.operations;
        span.set_attribute("seedbed.operations", attribute(operations));
        let bytes = self.download.bytes - before.bytes;
        span.set_attribute("seedbed.bytes", attribute(bytes));
        if followed.is_ok() {
            pass.finished();
        }
        match &followed {
            Ok(Followed::Enough) => {}
            Ok(Followed::Refused(reason)) => fail(&span, "checksum", reason),
            Err(error) => fail(&span, error.name(), error),
        }
        followed
    }

    fn sign(&self) -> Result<Secret, TokenError> {
        let span = info_span!("step", otel.name = "token");
        let signed = span.in_scope(|| self.downloader.signer.sign(&self.job.scope));
        if let Err(error) = &signed {
            fail(&span, "token", error);
        }
        signed
    }

    async fn follow(&mut self, request: String, token: &Secret) -> Result<Followed, DownloadError> {
        let mut lines = self.downloader.powersync.open(request, token).await?;
        while let Some(line) = lines.next().await? {
            self.download.bytes += line.bytes.len() as u64;
            let kind = LineKind::of(&line)?;
            self.count(&line, &kind);
            match kind {
                LineKind::Checkpoint(checkpoint) => {
                    self.target.replace(checkpoint);
                    if self.positions.is_some() {
                        check_target(&self.target, self.job)?;
                        return Ok(Followed::Enough);
                    }
                }
                LineKind::CheckpointDiff(diff) => self.target.apply(diff),
                LineKind::Data { operations } => {
                    self.download.operations += operations;
                    self.database.line(with_rows_as_text(line)?).await?;
                    continue;
                }
                LineKind::CheckpointComplete => {
                    check_target(&self.target, self.job)?;
                    return Ok(self.database.complete(line).await?.into());
                }
                // The token is signed here, for each stream anew; the core extension has no part in it.
                LineKind::TokenExpiresIn(seconds) if seconds <= 0 => {
                    return Err(StreamError::TokenExpired.into());
                }
                LineKind::TokenExpiresIn(_) => continue,
                LineKind::CheckpointPartiallyComplete(_) => {
                    if let Applied::No(reason) = self.database.partially_complete(line).await? {
                        return Ok(Followed::Refused(reason));
                    }
                    continue;
                }
                LineKind::Other => {}
            }
            self.database.line(line).await?;
        }
        Err(StreamError::Dropped(
            "the service ended it before the checkpoint was complete".to_owned(),
        )
        .into())
    }

    fn count(&self, line: &Line, kind: &LineKind) {
        let operations = if let LineKind::Data { operations } = kind {
            *operations
        } else {
            0
        };
        let bytes = line.bytes.len() as u64;
        self.downloader.progress.add(operations, bytes);
        self.downloader.metrics.downloaded(operations, bytes);
    }
}

/// A request for an empty database, as one for a database that has come this far.
fn at_positions(request: &str, positions: &Checkpoint) -> Result<String, DownloadError> {
    let unexpected = |e| DatabaseError::Core(format!("its request cannot be read: {e}"));
    let mut request: Map<String, Value> = serde_json::from_str(request).map_err(unexpected)?;
    let position = |bucket: &BucketCheckpoint| json!({ "name": bucket.bucket, "after": bucket.last_op.to_string() });
    let buckets = positions.buckets.iter().map(position).collect();
    request.insert("buckets".to_owned(), Value::Array(buckets));
    Ok(Value::Object(request).to_string())
}

/// A snapshot of nothing, or without a stream that was asked for, would look like a good one.
fn check_target(target: &TargetCheckpoint, job: &SeedJob) -> Result<(), DownloadError> {
    if let Some(unknown) = job
        .subscriptions
        .iter()
        .find(|s| target.lacks_stream(&s.stream))
    {
        return Err(DownloadError::UnknownStream(unknown.stream.clone()));
    }
    if let Some((stream, reason)) = target.broken_stream() {
        let (stream, reason) = (stream.to_owned(), reason.to_owned());
        return Err(DownloadError::BrokenStream { stream, reason });
    }
    if target.is_empty() {
        Err(DownloadError::NoBucket)
    } else {
        Ok(())
    }
}

/// Returns no pause after a stream that brought something, else a growing one; at least what the service asks for.
fn pause(fruitless: u32, retry_after: Option<Duration>) -> Duration {
    let pause = match fruitless {
        0 => Duration::ZERO,
        _ => STREAM_BACKOFF.pause(fruitless),
    };
    pause.max(retry_after.unwrap_or_default())
}
