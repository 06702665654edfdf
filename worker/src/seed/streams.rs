//! Follows the streams of one store: connects, hands each line to the operation log, counts, and resumes a stream that
//! breaks off from the last operation that has arrived.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use opentelemetry::KeyValue;
use opentelemetry_semantic_conventions::attribute::ERROR_TYPE;
use seedbed_protocol::{
    manifest::Download,
    message::SeedJob,
    settings::Secret,
    telemetry::trace::{attribute, fail},
};
use tracing::{Instrument, Span, debug, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{config_error::ConfigError, download_error::DownloadError};
use crate::{
    backoff::Backoff,
    metrics::{Counters, Metrics},
    oplog::{Accepted, Applied, OpLog, TargetCheckpoint},
    powersync::{PowerSyncClient, StreamError, StreamGate, TokenError, TokenSigner},
    settings::WorkerSettings,
};

/// The longest pause that a job waits by itself. Beyond it, the job goes back to the queue and its slot to another one.
const LONGEST_STREAM_PAUSE: Duration = Duration::from_secs(10);

/// The pauses before a stream that brought nothing is opened again.
const STREAM_BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(250),
    longest: LONGEST_STREAM_PAUSE,
    jitter: 0.5..1.0,
};

/// How far to follow a store's streams.
#[derive(Clone, Copy)]
pub(super) enum Until {
    /// To the first checkpoint, before any data.
    Target,
    /// To the complete checkpoint. Buckets whose checksum is wrong are downloaded again so many times.
    Complete { checksum_retries: u32 },
}

/// The streams of one PowerSync service.
pub(super) struct Streams {
    client: PowerSyncClient,
    gate: StreamGate,
    signer: TokenSigner,
    max_reconnects: u32,
    progress: Arc<Counters>,
    metrics: Arc<Metrics>,
}

impl Streams {
    pub(super) fn new(
        settings: &WorkerSettings,
        metrics: Arc<Metrics>,
    ) -> Result<Self, ConfigError> {
        let max_streams = settings.powersync.max_streams;
        let max_streams = max_streams.unwrap_or_else(|| settings.worker.slots());
        Ok(Self {
            client: PowerSyncClient::new(&settings.powersync)?,
            gate: StreamGate::new(max_streams),
            signer: TokenSigner::new(&settings.token)?,
            max_reconnects: settings.powersync.max_reconnects,
            progress: Arc::default(),
            metrics,
        })
    }

    pub(super) fn progress(&self) -> Arc<Counters> {
        self.progress.clone()
    }

    /// Opens streams for `job` until `log` has what is wanted; returns what that took.
    pub(super) async fn follow(
        &self,
        job: &SeedJob,
        log: &mut OpLog,
        until: Until,
    ) -> Result<Download, DownloadError> {
        let mut following = Following {
            streams: self,
            job,
            log,
            until,
            download: Download::default(),
        };
        following.run().await?;
        Ok(following.download)
    }

    /// Opens one stream for `job` and reads its first checkpoint into `log`.
    pub(super) async fn probe(&self, job: &SeedJob, log: &mut OpLog) -> Result<(), DownloadError> {
        let request = log.request().await?;
        let token = self.signer.sign(&job.scope)?;
        let opened = self.client.open(request, &token).await;
        let read_as = self.signer.secret_read_as();
        let mut lines = opened.map_err(|error| error.with_secret(read_as))?;
        while let Some(line) = lines.next().await? {
            if let Accepted::Target = log.accept(line).await? {
                return check_target(log.target(), job);
            }
        }
        let early = "the service ended it before the first checkpoint";
        Err(StreamError::Dropped(early.to_owned()).into())
    }

    fn sign(&self, job: &SeedJob) -> Result<Secret, TokenError> {
        let span = info_span!("step", otel.name = "token");
        let signed = span.in_scope(|| self.signer.sign(&job.scope));
        if let Err(error) = &signed {
            fail(&span, "token", error);
        }
        signed
    }
}

/// A store whose streams are being followed.
struct Following<'a> {
    streams: &'a Streams,
    job: &'a SeedJob,
    log: &'a mut OpLog,
    until: Until,
    download: Download,
}

/// How a stream ended as it should.
enum Ended {
    /// The log has what is wanted.
    Enough,
    /// The checkpoint was refused, for this reason; the buckets that do not match are dropped.
    Refused(String),
}

impl From<Applied> for Ended {
    fn from(applied: Applied) -> Self {
        match applied {
            Applied::Yes => Self::Enough,
            Applied::No(reason) => Self::Refused(reason),
        }
    }
}

impl Following<'_> {
    /// Opens streams until the log has what is wanted.
    async fn run(&mut self) -> Result<(), DownloadError> {
        let mut fruitless = 0;
        let mut wrong_checksums = 0;
        loop {
            let before = self.download.operations;
            match self.stream_once().await {
                Ok(Ended::Enough) => return Ok(()),
                Ok(Ended::Refused(reason)) => {
                    wrong_checksums += 1;
                    if wrong_checksums > self.checksum_retries() {
                        return Err(DownloadError::Checksum(reason));
                    }
                }
                Err(DownloadError::Stream(error)) if error.is_transient() => {
                    fruitless = if self.download.operations > before {
                        0
                    } else {
                        fruitless + 1
                    };
                    self.wait_after(error, fruitless).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn checksum_retries(&self) -> u32 {
        match self.until {
            Until::Target => 0,
            Until::Complete { checksum_retries } => checksum_retries,
        }
    }

    /// Waits before the next stream, or returns `error` if this attempt should not open one: after too many fruitless
    /// streams in a row, or when the pause would be too long.
    async fn wait_after(&self, error: StreamError, fruitless: u32) -> Result<(), StreamError> {
        let pause = pause(fruitless, error.retry_after());
        if error.is_overload() {
            self.streams.gate.overloaded(pause);
        }
        if fruitless > self.streams.max_reconnects || pause > LONGEST_STREAM_PAUSE {
            return Err(error);
        }
        let operations = self.download.operations;
        let resumed = vec![
            KeyValue::new(ERROR_TYPE, error.name()),
            KeyValue::new("seedbed.operations", attribute(operations)),
            KeyValue::new("seedbed.delay", pause.as_secs_f64()),
        ];
        Span::current().add_event("resume", resumed);
        debug!(operations, "resuming the stream in {pause:?}: {error}");
        // After an overload, the gate makes every job wait.
        if !error.is_overload() {
            tokio::time::sleep(pause).await;
        }
        Ok(())
    }

    /// Opens a stream where the last one ended, and follows it.
    async fn stream_once(&mut self) -> Result<Ended, DownloadError> {
        let request = self.log.request().await?;
        let token = self.streams.sign(self.job)?;
        let pass = self.streams.gate.enter().await;
        let before = self.download;
        let span = self.streams.client.span(before.connections);
        self.download.connections += 1;
        let ended = self.lines(request, &token).instrument(span.clone()).await;
        let operations = self.download.operations - before.operations;
        span.set_attribute("seedbed.operations", attribute(operations));
        let bytes = self.download.bytes - before.bytes;
        span.set_attribute("seedbed.bytes", attribute(bytes));
        if ended.is_ok() {
            pass.finished();
        }
        match &ended {
            Ok(Ended::Enough) => {}
            Ok(Ended::Refused(reason)) => fail(&span, "checksum", reason),
            Err(error) => fail(&span, error.name(), error),
        }
        ended
    }

    /// Hands the lines of one stream to the log.
    async fn lines(&mut self, request: String, token: &Secret) -> Result<Ended, DownloadError> {
        let opened = self.streams.client.open(request, token).await;
        let read_as = self.streams.signer.secret_read_as();
        let mut lines = opened.map_err(|error| error.with_secret(read_as))?;
        while let Some(line) = lines.next().await? {
            let bytes = line.bytes.len() as u64;
            self.download.bytes += bytes;
            let accepted = self.log.accept(line).await?;
            self.count(&accepted, bytes);
            match accepted {
                Accepted::Target if matches!(self.until, Until::Target) => {
                    check_target(self.log.target(), self.job)?;
                    return Ok(Ended::Enough);
                }
                // Before any row is downloaded.
                Accepted::Target => check_streams(self.log.target(), self.job)?,
                Accepted::PartiallyComplete(Applied::No(reason)) => {
                    return Ok(Ended::Refused(reason));
                }
                Accepted::Complete(complete) => {
                    check_target(self.log.target(), self.job)?;
                    return Ok(self.log.apply(complete).await?.into());
                }
                Accepted::TokenExpiresIn(seconds) if seconds <= 0 => {
                    return Err(StreamError::TokenExpired.into());
                }
                _ => {}
            }
        }
        let early = "the service ended it before the checkpoint was complete";
        Err(StreamError::Dropped(early.to_owned()).into())
    }

    fn count(&mut self, accepted: &Accepted, bytes: u64) {
        let operations = match accepted {
            Accepted::Operations(operations) => *operations,
            _ => 0,
        };
        self.download.operations += operations;
        self.streams.progress.add(operations, bytes);
        self.streams.metrics.downloaded(operations, bytes);
    }
}

/// Refuses a target without buckets, or without a stream that the job subscribes to: its snapshot would look like a
/// good one.
fn check_target(target: &TargetCheckpoint, job: &SeedJob) -> Result<(), DownloadError> {
    check_streams(target, job)?;
    if target.is_empty() {
        Err(DownloadError::NoBucket)
    } else {
        Ok(())
    }
}

/// Refuses a target without a stream that the job subscribes to, or whose rows would be missing.
fn check_streams(target: &TargetCheckpoint, job: &SeedJob) -> Result<(), DownloadError> {
    let unknown: BTreeSet<String> = job
        .subscriptions
        .iter()
        .filter(|subscription| target.lacks_stream(&subscription.stream))
        .map(|subscription| format!("{:?}", subscription.stream))
        .collect();
    if !unknown.is_empty() {
        let unknown: Vec<_> = unknown.into_iter().collect();
        return Err(DownloadError::UnknownStream(
            unknown.join(" and no stream "),
        ));
    }
    if let Some((stream, reason)) = target.broken_stream() {
        let (stream, reason) = (stream.to_owned(), reason.to_owned());
        return Err(DownloadError::BrokenStream { stream, reason });
    }
    Ok(())
}

/// Returns no pause after a stream that brought something, else a growing one; at least what the service asks for.
fn pause(fruitless: u32, retry_after: Option<Duration>) -> Duration {
    let pause = match fruitless {
        0 => Duration::ZERO,
        _ => STREAM_BACKOFF.pause(fruitless),
    };
    pause.max(retry_after.unwrap_or_default())
}
