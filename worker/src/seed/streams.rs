//! Follows the streams of one store: connects, hands each line to the operation log, counts, and resumes a stream that
//! breaks off from the last operation that has arrived. What has arrived is kept for as long as `patience` has time left.

mod shared;
mod target;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use opentelemetry::KeyValue;
use opentelemetry_semantic_conventions::attribute::ERROR_TYPE;
use seedbed_protocol::{
    manifest::Download,
    message::SeedJob,
    settings::Secret,
    telemetry::trace::{attribute, fail},
};
use tokio::time::Instant;
use tracing::{Instrument, Span, debug, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

pub(super) use self::shared::{AGAIN_FILE, Begun, LogSettings, Logs, Shared, TEMPLATE_FILE};
use self::target::{check_streams, check_target};
use super::{
    config_error::ConfigError,
    download_error::DownloadError,
    patience::{LONGEST_PAUSE, Patience},
};
use crate::{
    buckets::Next,
    metrics::{Counters, Metrics},
    oplog::{Accepted, Applied, OpLog},
    powersync::{
        Line, Lines, Pass, PowerSyncClient, Reopenings, StreamError, StreamGate, TokenError,
        TokenSigner,
    },
    settings::WorkerSettings,
};

/// A job without any row tries so often, unless the service is away for everybody; then its slot goes to another job.
const TRIES_WITHOUT_ROWS: u32 = 5;

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
    pub(super) gate: StreamGate,
    signer: TokenSigner,
    reopenings: Reopenings,
    give_up_after: Duration,
    /// How many streams have ended as they should.
    completed: AtomicU64,
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
            gate: StreamGate::new(max_streams, metrics.clone()),
            reopenings: Reopenings::new(max_streams),
            signer: TokenSigner::new(&settings.token)?,
            give_up_after: settings.powersync.give_up_after,
            completed: AtomicU64::new(0),
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
        shared: Option<&mut Shared<'_>>,
    ) -> Result<Download, DownloadError> {
        let request = log.request().await?;
        let mut following = Following {
            streams: self,
            job,
            log,
            until,
            shared,
            patience: Patience::new(self.give_up_after, &request),
            completed_before: 0,
            download: Download::default(),
        };
        following.run(request).await?;
        Ok(following.download)
    }

    /// Opens one stream for `job` and reads its first checkpoint into `log`.
    pub(super) async fn probe(&self, job: &SeedJob, log: &mut OpLog) -> Result<(), DownloadError> {
        let request = log.request().await?;
        let token = self.signer.sign(&job.scope)?;
        let mut patience = Patience::new(self.give_up_after, &request);
        let mut lines = patience.wait(self.open(request, &token)).await?;
        while let Some(line) = patience.wait(lines.next()).await? {
            if let Accepted::Target = log.accept(line).await? {
                return check_target(log.target(), job);
            }
        }
        let early = "the service ended it before the first checkpoint";
        Err(StreamError::Dropped(early.to_owned()).into())
    }

    async fn open(&self, request: String, token: &Secret) -> Result<Lines, StreamError> {
        let opened = self.client.open(request, token).await;
        opened.map_err(|error| error.with_secret(self.signer.secret_read_as()))
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
struct Following<'a, 'b> {
    streams: &'a Streams,
    job: &'a SeedJob,
    log: &'a mut OpLog,
    until: Until,
    /// What does not have to be downloaded.
    shared: Option<&'a mut Shared<'b>>,
    patience: Patience,
    /// How many streams of all jobs had completed when this job's began to bring nothing.
    completed_before: u64,
    download: Download,
}

/// How a stream ended as it should.
enum Ended {
    /// The log has what is wanted.
    Enough,
    /// The bucket cache asks for another request.
    AskAgain,
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

impl Following<'_, '_> {
    /// Opens streams until the log has what is wanted, the first with `request`.
    async fn run(&mut self, mut request: String) -> Result<(), DownloadError> {
        let mut wrong_checksums = 0;
        loop {
            let error = match self.stream_once(request).await {
                Ok(Ended::Enough) => return Ok(()),
                Ok(Ended::AskAgain) => {
                    request = self.ask_again().await?;
                    continue;
                }
                Ok(Ended::Refused(reason)) => {
                    let shared = self.shared.as_deref_mut();
                    let cache_is_at_fault = shared.is_some_and(|shared| shared.session.distrust());
                    wrong_checksums += u32::from(!cache_is_at_fault);
                    if wrong_checksums > self.checksum_retries() {
                        return Err(DownloadError::Checksum(reason));
                    }
                    request = self.ask_again().await?;
                    self.patience.operations_dropped(&request);
                    StreamError::Dropped(reason)
                }
                Err(DownloadError::Stream(error)) if error.is_retried_within_attempt() => {
                    request = self.log.request().await?;
                    self.patience.stream_ended(&request);
                    error
                }
                Err(error) => return Err(error),
            };
            self.wait_after(error).await?;
        }
    }

    /// Asks for what is missing; with a new log if the old one is of no use.
    async fn ask_again(&mut self) -> Result<String, DownloadError> {
        if let Some(shared) = &mut self.shared
            && let Some(log) = shared.begin_anew().await?
        {
            *self.log = log;
            let request = self.log.request().await?;
            self.patience.operations_dropped(&request);
            return Ok(request);
        }
        Ok(self.log.request().await?)
    }

    fn checksum_retries(&self) -> u32 {
        match self.until {
            Until::Target => 0,
            Until::Complete { checksum_retries } => checksum_retries,
        }
    }

    /// Waits before the next stream, or returns why this attempt should not open one.
    async fn wait_after(&mut self, error: StreamError) -> Result<(), StreamError> {
        let pause = self.patience.pause(&error);
        let is_overload = error.is_overload();
        if is_overload {
            self.streams.gate.overloaded(pause);
        }
        let operations = self.download.operations;
        // Nothing is lost when a job without rows waits in the queue, and another one gets its slot.
        if operations == 0 && self.is_better_queued(is_overload, pause) {
            return Err(error);
        }
        if !self.patience.spend(pause) {
            return Err(self.patience.gave_up(Some(error)));
        }
        let resumed = vec![
            KeyValue::new(ERROR_TYPE, error.name()),
            KeyValue::new("seedbed.operations", attribute(operations)),
            KeyValue::new("seedbed.delay", pause.as_secs_f64()),
        ];
        Span::current().add_event("resume", resumed);
        debug!(operations, "resuming the stream in {pause:?}: {error}");
        // After an overload, the gate makes every job wait.
        if !is_overload {
            tokio::time::sleep(pause.max(self.streams.reopenings.wait())).await;
        }
        Ok(())
    }

    /// Returns whether to give the slot to another job: the service has no place for this one, or it brings others forward
    /// but not this one.
    fn is_better_queued(&mut self, is_overload: bool, pause: Duration) -> bool {
        let completed = self.streams.completed.load(Ordering::Relaxed);
        let fruitless = self.patience.fruitless();
        if fruitless <= 1 {
            self.completed_before = completed;
        }
        let has_tried = fruitless > TRIES_WITHOUT_ROWS;
        match is_overload {
            true => has_tried || pause > LONGEST_PAUSE,
            false => has_tried && completed > self.completed_before,
        }
    }

    /// Opens a stream with `request`, and follows it.
    async fn stream_once(&mut self, request: String) -> Result<Ended, DownloadError> {
        let request = match &mut self.shared {
            Some(shared) => Box::pin(shared.session.request(request)).await,
            None => request,
        };
        let token = self.streams.sign(self.job)?;
        let mut pass = self.streams.gate.enter().await;
        let before = self.download;
        let span = self.streams.client.span(before.connections);
        self.download.connections += 1;
        let lines = self.lines(request, &token, &mut pass);
        let ended = lines.instrument(span.clone()).await;
        let operations = self.download.operations - before.operations;
        span.set_attribute("seedbed.operations", attribute(operations));
        let bytes = self.download.bytes - before.bytes;
        span.set_attribute("seedbed.bytes", attribute(bytes));
        if ended.is_ok() {
            self.streams.completed.fetch_add(1, Ordering::Relaxed);
            pass.finished();
        }
        match &ended {
            Ok(Ended::Enough | Ended::AskAgain) => {}
            Ok(Ended::Refused(reason)) => fail(&span, "checksum", reason),
            Err(error) => fail(&span, error.name(), error),
        }
        ended
    }

    /// Hands the lines of one stream to the log.
    async fn lines(
        &mut self,
        request: String,
        token: &Secret,
        pass: &mut Pass<'_>,
    ) -> Result<Ended, DownloadError> {
        let opened = Instant::now();
        let mut is_answered = false;
        let mut lines = self
            .patience
            .wait(self.streams.open(request, token))
            .await?;
        while let Some(line) = self.patience.wait(lines.next()).await? {
            let bytes = line.bytes.len() as u64;
            self.download.bytes += bytes;
            let took = opened.elapsed();
            if let Some(Shared { session, .. }) = &mut self.shared
                && session.is_watching()
                && Box::pin(session.before(&line, self.log)).await? == Next::AskAgain
            {
                return Ok(Ended::AskAgain);
            }
            let first = self
                .shared
                .as_ref()
                .filter(|shared| shared.session.may_begin());
            let first = first.map(|_| line.clone());
            let accepted = self.log.accept(line).await?;
            if self.count(&accepted, bytes) {
                lines.operation_arrived();
                self.patience.operations_arrived();
            }
            if !is_answered && matches!(accepted, Accepted::Target) {
                is_answered = true;
                pass.answered(took);
            }
            match accepted {
                Accepted::Target if matches!(self.until, Until::Target) => {
                    check_target(self.log.target(), self.job)?;
                    return Ok(Ended::Enough);
                }
                Accepted::Target if self.targeted(first).await? == Next::AskAgain => {
                    return Ok(Ended::AskAgain);
                }
                Accepted::PartiallyComplete(Applied::No(reason)) => {
                    return Ok(Ended::Refused(reason));
                }
                Accepted::Complete(complete) => {
                    check_target(self.log.target(), self.job)?;
                    let applied = self.log.apply(complete).await?;
                    if let (Some(shared), Applied::Yes) = (&mut self.shared, &applied) {
                        shared.session.applied();
                    }
                    return Ok(applied.into());
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

    /// Checks the target before any row is downloaded, and returns whether to go on towards it. `line` is its line as long
    /// as the log can begin with a template.
    async fn targeted(&mut self, line: Option<Line>) -> Result<Next, DownloadError> {
        check_streams(self.log.target(), self.job)?;
        Ok(match &mut self.shared {
            Some(shared) => Box::pin(shared.targeted(self.log, line)).await,
            None => Next::Take,
        })
    }

    /// Counts what has arrived; returns whether there are operations.
    fn count(&mut self, accepted: &Accepted, bytes: u64) -> bool {
        let operations = match accepted {
            Accepted::Operations(operations) => *operations,
            _ => 0,
        };
        self.download.operations += operations;
        self.streams.progress.add(operations, bytes);
        self.streams.metrics.downloaded(operations, bytes);
        operations > 0
    }
}
