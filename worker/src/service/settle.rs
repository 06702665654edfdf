//! Works on one delivery and settles it: acknowledges, retries, parks or hands it back.

use std::{any::Any, panic::AssertUnwindSafe, sync::Arc, time::Instant};

use chrono::Utc;
use futures::FutureExt;
use opentelemetry::KeyValue;
use seedbed_protocol::{
    broker::{
        Broker, BrokerError, Delivery, Message, Queue, RETURN_LIMIT, Subject, spans::process_span,
    },
    manifest::{Manifest, StepTiming, Way},
    message::{EventKind, SeedJob, codec::CodecError},
    telemetry::trace::{TraceContext, fail, trace_id},
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, debug, error, info, warn};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{
    report::{EventReporter, describe, describe_download, describe_way, failure_of},
    retry::{Retry, next_retry},
};
use crate::{
    metrics::{JobOutcome, Metrics},
    seed::{SeedError, Seeded, Seeder, StepTimes, step},
    settings::WorkerConfig,
};

/// Settles deliveries. Every path reports first and settles then: a kill in between makes the broker deliver the job
/// again, and the catalog applies the second event at most once.
pub(super) struct Settler {
    broker: Arc<dyn Broker>,
    reporter: EventReporter,
    pub(super) seeder: Seeder,
    metrics: Arc<Metrics>,
    config: WorkerConfig,
}

impl Settler {
    pub(super) fn new(
        broker: Arc<dyn Broker>,
        seeder: Seeder,
        metrics: Arc<Metrics>,
        config: WorkerConfig,
    ) -> Self {
        Self {
            reporter: EventReporter::new(broker.clone()),
            broker,
            seeder,
            metrics,
            config,
        }
    }

    /// Works on one delivery until it is settled, within the trace that its message names.
    pub(super) async fn work_on(self: Arc<Self>, delivery: Delivery, abort: CancellationToken) {
        let started = Instant::now();
        let metrics = &self.metrics;
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
    ) -> Result<JobOutcome, BrokerError> {
        let job = match delivery.message.decode::<SeedJob>() {
            Ok(job) => job,
            Err(error) => return self.refuse(delivery, error).await,
        };
        if delivery.returned >= RETURN_LIMIT {
            let poison = SeedError::Poison(delivery.returned);
            return self.fail(job, delivery, &poison, Vec::new()).await;
        }
        let trace = delivery.message.headers.trace.clone();
        self.report_start(&job, trace).await?;
        let times = StepTimes::default();
        let seeded = tokio::select! {
            seeded = self.seed(&job, &times) => seeded,
            () = abort.cancelled() => {
                info!("handing the job back");
                delivery.hand_back().await?;
                return Ok(JobOutcome::HandedBack);
            }
        };
        match seeded {
            Ok(Seeded::Snapshot(manifest)) => match self.report_snapshot(&job, manifest).await {
                Err(BrokerError::Message(error)) => {
                    let steps = times.until_now();
                    self.fail(job, delivery, &error.into(), steps).await
                }
                reported => {
                    reported?;
                    delivery.ack().await?;
                    Ok(JobOutcome::Seeded)
                }
            },
            Ok(Seeded::Unchanged {
                base,
                checkpoint,
                download,
            }) => {
                let span = Span::current();
                describe_way(&span, Way::Unchanged);
                describe_download(&span, &download, &checkpoint);
                let unchanged = EventKind::Unchanged {
                    base_job_id: base.job_id,
                    base_attempt: base.attempt,
                    checkpoint,
                };
                self.keep_base(&job, delivery, unchanged, times.until_now())
                    .await
            }
            Err(error) => self.fail(job, delivery, &error, times.until_now()).await,
        }
    }

    /// Parks a message that is not a job, or whose version this program does not know.
    async fn refuse(
        &self,
        delivery: Delivery,
        error: CodecError,
    ) -> Result<JobOutcome, BrokerError> {
        error!(subject = ?delivery.message.headers.subject, "parking a message: {error}");
        let error = SeedError::from(error);
        fail(&Span::current(), error.name(), &error);
        if let Some(subject) = &delivery.message.headers.subject {
            let failure = failure_of(&error, None);
            self.report(subject, EventKind::Failed(failure), Vec::new())
                .await?;
        }
        delivery.park(error.to_string()).await?;
        Ok(JobOutcome::Failed)
    }

    /// Seeds the job within its time. A panic fails only this job.
    async fn seed(&self, job: &SeedJob, times: &StepTimes) -> Result<Seeded, SeedError> {
        let left = (job.deadline - Utc::now()).to_std().unwrap_or_default();
        if left.is_zero() {
            return Err(SeedError::Deadline);
        }
        let seeding = AssertUnwindSafe(self.seeder.seed(job, times)).catch_unwind();
        match tokio::time::timeout(left.min(self.config.job_timeout), seeding).await {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => Err(SeedError::Panic(panic_message(panic.as_ref()))),
            Err(_) if left > self.config.job_timeout => {
                Err(SeedError::Timeout(self.config.job_timeout))
            }
            Err(_) => Err(SeedError::Deadline),
        }
    }

    async fn report_snapshot(
        &self,
        job: &SeedJob,
        manifest: Box<Manifest>,
    ) -> Result<(), BrokerError> {
        info!(rows = manifest.rows(), bytes = manifest.bytes(), "seeded");
        describe(&Span::current(), &manifest);
        self.metrics.uploaded(&manifest);
        let completed = EventKind::Completed { manifest };
        self.report(&Subject::of(job), completed, Vec::new()).await
    }

    /// Reports that the base is unchanged, so that it stays the live snapshot.
    async fn keep_base(
        &self,
        job: &SeedJob,
        delivery: Delivery,
        unchanged: EventKind,
        steps: Vec<StepTiming>,
    ) -> Result<JobOutcome, BrokerError> {
        info!("unchanged");
        self.report(&Subject::of(job), unchanged, steps).await?;
        delivery.ack().await?;
        Ok(JobOutcome::Unchanged)
    }

    async fn fail(
        &self,
        mut job: SeedJob,
        delivery: Delivery,
        error: &SeedError,
        steps: Vec<StepTiming>,
    ) -> Result<JobOutcome, BrokerError> {
        let subject = Subject::of(&job);
        let span = Span::current();
        fail(&span, error.name(), error);
        let Some(Retry { delay, at }) = next_retry(&self.config, &job, error) else {
            error!(step = error.step(), "failed: {error}");
            span.add_event("parked", vec![KeyValue::new("seedbed.step", error.step())]);
            let failed = EventKind::Failed(failure_of(error, None));
            self.report(&subject, failed, steps).await?;
            delivery.park(error.to_string()).await?;
            return Ok(JobOutcome::Failed);
        };
        if error.is_overload() {
            // The gate says so once a minute, for all jobs.
            debug!(step = error.step(), "retrying in {delay:?}: {error}");
        } else {
            warn!(step = error.step(), "retrying in {delay:?}: {error}");
        }
        let failed = EventKind::Failed(failure_of(error, Some(at)));
        self.report(&subject, failed, steps).await?;
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
        self.metrics.retried(error.step());
        // The retry is another child of the span that published the job.
        match Message::job(&job, delivery.message.headers.trace.clone()) {
            Ok(mut next) => {
                next.headers.urgent = delivery.message.headers.urgent;
                delivery.retry_later(next, delay).await?;
            }
            Err(error) => delivery.park(error.to_string()).await?,
        }
        Ok(JobOutcome::Retried)
    }

    /// Reports that the job was taken. The spans of this event belong below the span that published the job, which
    /// `trace` names: if this process is killed, its own spans are lost.
    async fn report_start(&self, job: &SeedJob, trace: TraceContext) -> Result<(), BrokerError> {
        let trace_id = trace_id(&Span::current());
        let started = EventKind::Started { trace_id };
        self.reporter
            .publish(&Subject::of(job), started, Vec::new(), Some(trace))
            .await
    }

    /// Reports the result of the job, and what its time went into if it made no snapshot.
    async fn report(
        &self,
        subject: &Subject,
        kind: EventKind,
        steps: Vec<StepTiming>,
    ) -> Result<(), BrokerError> {
        let reporting = self.reporter.publish(subject, kind, steps, None);
        step(&self.metrics, "report", reporting).await
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
        .to_owned()
}
