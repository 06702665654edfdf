//! Takes jobs, settles them, stops.

use std::{
    any::Any,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use futures::FutureExt;
use opentelemetry::KeyValue;
use rand::Rng;
use seedbed_protocol::{
    Attempt, JobId,
    broker::{
        Broker, BrokerError, Delivery, Message, Queue, RETURN_LIMIT, Subject,
        spans::{process_span, publish_in, publish_span},
    },
    codec::CodecError,
    message::{
        BaseSnapshot, Checkpoint, Download, EventKind, Failure, Manifest, SeedEvent, SeedJob, Way,
    },
    snapshots::SnapshotStore,
    trace::{TraceContext, attribute, fail, trace_id},
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, error, info, warn};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::{
    metrics::Outcome,
    progress::Progress,
    seed::error::{ConfigError, SeedError},
    seed::job::{Seeded, Seeder},
    seed::steps::step,
    settings::{WorkerConfig, WorkerSettings},
};

/// Works on seed jobs. Keeps nothing between jobs but connections.
#[derive(Clone)]
pub struct Worker {
    shared: Arc<Shared>,
}

struct Shared {
    name: String,
    broker: Arc<dyn Broker>,
    seeder: Seeder,
    config: WorkerConfig,
}

/// How long handing jobs back may take when the broker does not answer.
const HAND_BACK_TIMEOUT: Duration = Duration::from_secs(5);

/// How long taking back abandoned uploads may take.
const UPLOADS_TIMEOUT: Duration = Duration::from_secs(30);

/// How a worker is told to stop.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// Take no more jobs, and finish those in flight.
    pub drain: CancellationToken,
    /// Hand back what is still in flight. Has no effect before `drain`.
    pub abort: CancellationToken,
}

impl Shutdown {
    /// Stops everything when `stop` is cancelled.
    pub fn at_once(stop: CancellationToken) -> Self {
        Self {
            drain: stop.clone(),
            abort: stop,
        }
    }
}

/// What a service answered to a stream that was only opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The first checkpoint, before any data.
    pub checkpoint: Checkpoint,
}

impl Worker {
    /// Checks the settings, opens what they name, sweeps what a killed process left in the work directory.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting that is wrong.
    pub fn new(
        settings: &WorkerSettings,
        snapshots: SnapshotStore,
        broker: Arc<dyn Broker>,
    ) -> Result<Self, ConfigError> {
        let seeder = Seeder::new(settings, snapshots)?;
        let host = gethostname::gethostname();
        let name = format!("{}-{}", host.display(), std::process::id());
        Ok(Self {
            shared: Arc::new(Shared {
                name,
                broker,
                seeder,
                config: settings.worker.clone(),
            }),
        })
    }

    /// Counters of all jobs.
    pub fn progress(&self) -> Arc<Progress> {
        self.shared.seeder.progress.clone()
    }

    /// Takes jobs until it is told to stop. Jobs that are in flight then are finished or, once it shall not wait
    /// any longer, handed back to the queue.
    ///
    /// # Errors
    /// When the broker fails.
    pub async fn run(&self, shutdown: Shutdown) -> Result<(), BrokerError> {
        let slots = self.shared.config.slots();
        self.shared.seeder.metrics.has_slots(slots);
        let mut deliveries = self.shared.broker.consume(Queue::Jobs, slots).await?;
        let mut jobs = JoinSet::new();
        loop {
            // The prefetch does not suffice: after a lost connection the broker delivers anew what is still
            // being worked on.
            let is_full = jobs.len() >= slots.into();
            tokio::select! {
                () = shutdown.drain.cancelled() => break,
                Some(_) = jobs.join_next() => {}
                delivery = deliveries.next(), if !is_full => match delivery {
                    Some(delivery) => {
                        jobs.spawn(self.shared.clone().work_on(delivery, shutdown.abort.clone()));
                    }
                    None => break,
                },
            }
        }
        drop(deliveries);
        let finished = async { while jobs.join_next().await.is_some() {} };
        let too_late = async {
            shutdown.abort.cancelled().await;
            tokio::time::sleep(HAND_BACK_TIMEOUT).await;
        };
        tokio::select! {
            () = finished => {}
            () = too_late => {}
        }
        // What is left hangs at the broker; dropped, it goes back to the queue by itself.
        jobs.shutdown().await;
        let uploads = self.shared.seeder.uploads_ended();
        if tokio::time::timeout(UPLOADS_TIMEOUT, uploads)
            .await
            .is_err()
        {
            warn!("left parts of uploads behind, since the snapshot store does not answer");
        }
        Ok(())
    }

    /// Opens the stream that `job` would sync and reads its first checkpoint, but no data.
    ///
    /// # Errors
    /// What the job would fail with.
    pub async fn probe(&self, job: &SeedJob) -> Result<Probe, SeedError> {
        let directory = self
            .shared
            .seeder
            .work()
            .job(JobId::new(), Attempt::FIRST)?;
        let checkpoint = self.shared.seeder.probe(job, &directory).await?;
        Ok(Probe { checkpoint })
    }
}

impl Shared {
    /// One delivery, from being taken to being settled, within the trace that its message names.
    async fn work_on(self: Arc<Self>, delivery: Delivery, abort: CancellationToken) {
        let started = Instant::now();
        let metrics = &self.seeder.metrics;
        let _in_flight = metrics.in_flight();
        let span = process_span(self.broker.as_ref(), Queue::Jobs, &delivery);
        let working = async {
            match self.settle(delivery, abort).await {
                Ok(outcome) => {
                    Span::current().set_attribute("seedbed.outcome", outcome.name());
                    metrics.settled(outcome, started.elapsed());
                }
                Err(error) => {
                    fail(&Span::current(), "settle", &error);
                    warn!("the job will be delivered again: {error}");
                }
            }
        };
        working.instrument(span).await;
    }

    async fn settle(
        &self,
        delivery: Delivery,
        abort: CancellationToken,
    ) -> Result<Outcome, BrokerError> {
        let job = match delivery.message.decode::<SeedJob>() {
            Ok(job) => job,
            Err(error) => return self.refuse(delivery, error).await,
        };
        if delivery.returned >= RETURN_LIMIT {
            let poison = SeedError::Poison(delivery.returned);
            return self.fail(job, delivery, &poison).await;
        }
        let trace = delivery.message.headers.trace.clone();
        self.report_start(&job, trace).await?;
        let seeded = tokio::select! {
            seeded = self.seed(&job) => seeded,
            () = abort.cancelled() => {
                info!("handing the job back");
                delivery.hand_back().await?;
                return Ok(Outcome::HandedBack);
            }
        };
        match seeded {
            Ok(Seeded::Snapshot(manifest)) => self.complete(&job, delivery, manifest).await,
            Ok(Seeded::Unchanged {
                base,
                checkpoint,
                download,
            }) => {
                let span = Span::current();
                describe_way(&span, Way::Unchanged);
                describe_download(&span, &download, &checkpoint);
                self.leave(&job, delivery, &base, checkpoint).await
            }
            Err(error) => self.fail(job, delivery, &error).await,
        }
    }

    /// Parks a message that is no job, or one that this program does not understand.
    async fn refuse(&self, delivery: Delivery, error: CodecError) -> Result<Outcome, BrokerError> {
        error!(subject = ?delivery.message.headers.subject, "parking a message: {error}");
        let error = SeedError::from(error);
        fail(&Span::current(), error.name(), &error);
        if let Some(subject) = &delivery.message.headers.subject {
            let failure = failure_of(&error, None);
            self.report(subject, EventKind::Failed(failure)).await?;
        }
        delivery.park(error.to_string()).await?;
        Ok(Outcome::Failed)
    }

    /// The job within its time; a panic is that job's failure and nobody else's.
    async fn seed(&self, job: &SeedJob) -> Result<Seeded, SeedError> {
        let left = (job.deadline - Utc::now()).to_std().unwrap_or_default();
        if left.is_zero() {
            return Err(SeedError::Deadline);
        }
        let seeding = AssertUnwindSafe(self.seeder.seed(job)).catch_unwind();
        match tokio::time::timeout(left.min(self.config.job_timeout), seeding).await {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => Err(SeedError::Panic(panic_message(panic.as_ref()))),
            Err(_) if left > self.config.job_timeout => {
                Err(SeedError::Timeout(self.config.job_timeout))
            }
            Err(_) => Err(SeedError::Deadline),
        }
    }

    async fn complete(
        &self,
        job: &SeedJob,
        delivery: Delivery,
        manifest: Box<Manifest>,
    ) -> Result<Outcome, BrokerError> {
        info!(rows = manifest.rows(), bytes = manifest.bytes(), "seeded");
        describe(&Span::current(), &manifest);
        self.seeder.metrics.uploaded(&manifest);
        self.report(&Subject::of(job), EventKind::Completed { manifest })
            .await?;
        delivery.ack().await?;
        Ok(Outcome::Seeded)
    }

    /// Reports that the base is still right.
    async fn leave(
        &self,
        job: &SeedJob,
        delivery: Delivery,
        base: &BaseSnapshot,
        checkpoint: Checkpoint,
    ) -> Result<Outcome, BrokerError> {
        info!("unchanged");
        let unchanged = EventKind::Unchanged {
            base_job_id: base.job_id,
            base_attempt: base.attempt,
            checkpoint,
        };
        self.report(&Subject::of(job), unchanged).await?;
        delivery.ack().await?;
        Ok(Outcome::Unchanged)
    }

    async fn fail(
        &self,
        mut job: SeedJob,
        delivery: Delivery,
        error: &SeedError,
    ) -> Result<Outcome, BrokerError> {
        let subject = Subject::of(&job);
        let span = Span::current();
        fail(&span, error.name(), error);
        let Some((delay, retry_at)) = self.next_try(&job, error) else {
            error!(step = error.step(), "failed: {error}");
            span.add_event("parked", vec![KeyValue::new("seedbed.step", error.step())]);
            self.report(&subject, EventKind::Failed(failure_of(error, None)))
                .await?;
            delivery.park(error.to_string()).await?;
            return Ok(Outcome::Failed);
        };
        warn!(step = error.step(), "trying again in {delay:?}: {error}");
        let failure = failure_of(error, Some(retry_at));
        self.report(&subject, EventKind::Failed(failure)).await?;
        if !error.is_overload() {
            job.attempt = job.attempt.next();
        }
        span.add_event(
            "retry",
            vec![
                KeyValue::new("seedbed.step", error.step()),
                KeyValue::new("seedbed.attempt", i64::from(job.attempt.get())),
                KeyValue::new("seedbed.delay", delay.as_secs_f64()),
            ],
        );
        self.seeder.metrics.retried(error.step());
        // The next try is another child of the span that published the job.
        match Message::job(&job, delivery.message.headers.trace.clone()) {
            Ok(next) => delivery.retry_later(next, delay).await?,
            Err(error) => delivery.park(error.to_string()).await?,
        }
        Ok(Outcome::Retried)
    }

    /// When to try again; `None` when no try could help, none is left, or the deadline comes first.
    fn next_try(&self, job: &SeedJob, error: &SeedError) -> Option<(Duration, DateTime<Utc>)> {
        let is_last = job.attempt.get() >= self.config.max_attempts && !error.is_overload();
        if !error.is_transient() || is_last {
            return None;
        }
        let delay = backoff(&self.config, job.attempt).max(error.retry_after().unwrap_or_default());
        let retry_at = Utc::now().checked_add_signed(TimeDelta::from_std(delay).ok()?)?;
        (retry_at < job.deadline).then_some((delay, retry_at))
    }

    /// Reports that the job was taken. What comes of this event belongs below the span that published the job, which
    /// `trace` names: should this process be killed, nobody will ever hear of its own spans.
    async fn report_start(&self, job: &SeedJob, trace: TraceContext) -> Result<(), BrokerError> {
        let trace_id = trace_id(&Span::current());
        let started = EventKind::Started { trace_id };
        self.publish_event(&Subject::of(job), started, Some(trace))
            .await
    }

    /// Reports what came of the job.
    async fn report(&self, subject: &Subject, kind: EventKind) -> Result<(), BrokerError> {
        let reporting = self.publish_event(subject, kind, None);
        step(&self.seeder.metrics, "report", reporting).await
    }

    /// Publishes an event whose receiver goes on below the span that `trace` names, or else below the publishing one.
    async fn publish_event(
        &self,
        subject: &Subject,
        kind: EventKind,
        trace: Option<TraceContext>,
    ) -> Result<(), BrokerError> {
        let broker = self.broker.as_ref();
        let event = SeedEvent {
            run_id: subject.run_id,
            job_id: subject.job_id,
            store_id: subject.store_id.clone(),
            attempt: subject.attempt,
            at: Utc::now(),
            worker: self.name.clone(),
            kind,
        };
        let span = publish_span(broker, Queue::Events, subject, Span::current().id());
        span.set_attribute("seedbed.event", event.kind.name());
        let trace = trace.unwrap_or_else(|| TraceContext::of(&span));
        let message = Message::event(&event, trace)?;
        publish_in(span, broker, Queue::Events, message).await
    }
}

/// What is worth knowing about a seeded job, on its span.
fn describe(span: &Span, manifest: &Manifest) {
    let encodings = manifest.renditions.iter().map(|r| r.encoding.name());
    span.set_attribute("seedbed.rows", attribute(manifest.rows()));
    span.set_attribute("seedbed.bytes", attribute(manifest.bytes()));
    span.set_attribute("seedbed.encoding", encodings.collect::<Vec<_>>().join(","));
    describe_download(span, &manifest.download, &manifest.checkpoint);
    describe_way(span, manifest.way());
}

fn describe_download(span: &Span, download: &Download, checkpoint: &Checkpoint) {
    span.set_attribute("seedbed.operations", attribute(download.operations));
    span.set_attribute("seedbed.downloaded", attribute(download.bytes));
    span.set_attribute("seedbed.checkpoint", checkpoint.last_op_id.to_string());
}

/// Which way the job went, and for a full download why.
fn describe_way(span: &Span, way: Way) {
    span.set_attribute("seedbed.way", way.name());
    if let Some(why) = way.why() {
        span.set_attribute("seedbed.why", why);
    }
}

/// The delay after `attempt` failed: doubled with each attempt, capped, and jittered by half, so that jobs
/// that failed together do not come back together.
fn backoff(config: &WorkerConfig, attempt: Attempt) -> Duration {
    let doublings = (attempt.get() - 1).min(16);
    let delay = config
        .backoff
        .saturating_mul(1 << doublings)
        .min(config.max_backoff);
    delay.mul_f64(rand::rng().random_range(0.5..1.5))
}

fn failure_of(error: &SeedError, retry_at: Option<DateTime<Utc>>) -> Failure {
    Failure {
        kind: error.kind(),
        step: error.step().to_owned(),
        message: error.to_string(),
        retry_at,
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
        .to_owned()
}
