//! Takes jobs, settles them, stops.

use std::{any::Any, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use futures::FutureExt;
use rand::Rng;
use seedbed_protocol::{
    Attempt, JobId,
    broker::{Broker, BrokerError, Delivery, Message, Queue, RETURN_LIMIT, Subject},
    codec::CodecError,
    message::{Checkpoint, EventKind, Failure, Manifest, SeedEvent, SeedJob},
    snapshots::SnapshotStore,
    trace::{TraceContext, trace_id},
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, error, error_span, field, info, info_span, warn};

use crate::{
    config::{WorkerConfig, WorkerSettings},
    error::{ConfigError, SeedError},
    progress::Progress,
    seed::Seeder,
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
    /// One delivery, from being taken to being settled.
    async fn work_on(self: Arc<Self>, delivery: Delivery, abort: CancellationToken) {
        let job = match delivery.message.decode::<SeedJob>() {
            Ok(job) => job,
            Err(error) => return log_unsettled(self.refuse(delivery, error).await),
        };
        // Of the highest level, so that a log of errors alone still says which job each is about.
        let span = error_span!(
            "seed",
            otel.kind = "consumer",
            run = %job.run_id,
            job = %job.job_id,
            store = %job.scope.store_id,
            attempt = job.attempt.get(),
            trace_id = field::Empty,
        );
        delivery.message.headers.trace.adopt(&span);
        if let Some(id) = trace_id(&span) {
            span.record("trace_id", id);
        }
        let settled = self.seed_and_settle(job, delivery, abort).instrument(span);
        log_unsettled(settled.await);
    }

    async fn seed_and_settle(
        &self,
        job: SeedJob,
        delivery: Delivery,
        abort: CancellationToken,
    ) -> Result<(), BrokerError> {
        if delivery.returned >= RETURN_LIMIT {
            let poison = SeedError::Poison(delivery.returned);
            return self.fail(job, delivery, &poison).await;
        }
        let trace_id = trace_id(&Span::current());
        self.report(&Subject::of(&job), EventKind::Started { trace_id })
            .await?;
        let seeded = tokio::select! {
            seeded = self.seed(&job) => seeded,
            () = abort.cancelled() => {
                info!("handing the job back");
                return delivery.hand_back().await;
            }
        };
        match seeded {
            Ok(manifest) => self.complete(&job, delivery, manifest).await,
            Err(error) => self.fail(job, delivery, &error).await,
        }
    }

    /// Parks a message that is no job, or one that this program does not understand.
    async fn refuse(&self, delivery: Delivery, error: CodecError) -> Result<(), BrokerError> {
        error!(subject = ?delivery.message.headers.subject, "parking a message: {error}");
        let reason = error.to_string();
        if let Some(subject) = &delivery.message.headers.subject {
            let failure = failure_of(&error.into(), None);
            self.report(subject, EventKind::Failed(failure)).await?;
        }
        delivery.park(reason).await
    }

    /// The job within its time; a panic is that job's failure and nobody else's.
    async fn seed(&self, job: &SeedJob) -> Result<Manifest, SeedError> {
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
        manifest: Manifest,
    ) -> Result<(), BrokerError> {
        info!(rows = manifest.rows(), bytes = manifest.bytes(), "seeded");
        self.report(
            &Subject::of(job),
            EventKind::Completed {
                manifest: Box::new(manifest),
            },
        )
        .await?;
        delivery.ack().await
    }

    async fn fail(
        &self,
        mut job: SeedJob,
        delivery: Delivery,
        error: &SeedError,
    ) -> Result<(), BrokerError> {
        let subject = Subject::of(&job);
        let Some((delay, retry_at)) = self.next_try(&job, error) else {
            error!(step = error.step(), "failed: {error}");
            self.report(&subject, EventKind::Failed(failure_of(error, None)))
                .await?;
            return delivery.park(error.to_string()).await;
        };
        warn!(step = error.step(), "trying again in {delay:?}: {error}");
        let failure = failure_of(error, Some(retry_at));
        self.report(&subject, EventKind::Failed(failure)).await?;
        if !error.is_overload() {
            job.attempt = job.attempt.next();
        }
        match Message::job(&job, delivery.message.headers.trace.clone()) {
            Ok(next) => delivery.retry_later(next, delay).await,
            Err(error) => delivery.park(error.to_string()).await,
        }
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

    async fn report(&self, subject: &Subject, kind: EventKind) -> Result<(), BrokerError> {
        let event = SeedEvent {
            run_id: subject.run_id,
            job_id: subject.job_id,
            store_id: subject.store_id.clone(),
            attempt: subject.attempt,
            at: Utc::now(),
            worker: self.name.clone(),
            kind,
        };
        let span = info_span!("report", otel.kind = "producer");
        let message = Message::event(&event, TraceContext::of(&span))?;
        self.broker
            .publish(Queue::Events, message)
            .instrument(span)
            .await
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

fn log_unsettled(result: Result<(), BrokerError>) {
    if let Err(error) = result {
        warn!("the job will be delivered again: {error}");
    }
}
