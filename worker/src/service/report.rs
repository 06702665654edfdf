//! Reports what happens to a job: events for the coordinator, attributes for the trace.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use seedbed_protocol::{
    broker::{
        Broker, BrokerError, Message, Queue, Subject,
        spans::{publish_in, publish_span},
    },
    manifest::{Checkpoint, Download, Manifest, StepTiming, Way},
    message::{EventKind, Failure, SeedEvent},
    telemetry::trace::{TraceContext, attribute},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::identity::Identity;
use crate::seed::SeedError;

/// How much of an error goes into an event, in bytes: some repeat what a service answered.
const MAX_ERROR_BYTES: usize = 16 * 1024;

/// Publishes the events of one worker.
pub(super) struct EventReporter {
    broker: Arc<dyn Broker>,
    /// The worker's name: host and process.
    worker: String,
}

impl EventReporter {
    pub(super) fn new(broker: Arc<dyn Broker>) -> Self {
        let Identity { worker, .. } = Identity::of_this_process();
        Self { broker, worker }
    }

    /// Publishes an event. Its receiver continues below the span that `trace` names, or else below the publishing one.
    pub(super) async fn publish(
        &self,
        subject: &Subject,
        kind: EventKind,
        steps: Vec<StepTiming>,
        trace: Option<TraceContext>,
    ) -> Result<(), BrokerError> {
        let broker = self.broker.as_ref();
        let event = SeedEvent {
            run_id: subject.run_id,
            job_id: subject.job_id,
            store_id: subject.store_id.clone(),
            attempt: subject.attempt,
            at: Utc::now(),
            worker: self.worker.clone(),
            kind,
            steps,
        };
        let span = publish_span(broker, Queue::Events, subject, Span::current().id());
        span.set_attribute("seedbed.event", event.kind.name());
        let trace = trace.unwrap_or_else(|| TraceContext::of(&span));
        let message = Message::event(&event, trace)?;
        publish_in(span, broker, Queue::Events, message).await
    }
}

/// Returns a failure as events have it; `retry_at` is when the job is retried, if it is.
pub(super) fn failure_of(error: &SeedError, retry_at: Option<DateTime<Utc>>) -> Failure {
    let mut message = error.to_string();
    message.truncate(message.floor_char_boundary(MAX_ERROR_BYTES));
    Failure {
        kind: error.kind(),
        step: error.step().to_owned(),
        message,
        retry_at,
    }
}

/// Describes a seeded job on its span.
pub(super) fn describe(span: &Span, manifest: &Manifest) {
    let renditions = manifest.all_renditions().map(|r| r.kind().to_string());
    span.set_attribute("seedbed.rows", attribute(manifest.rows()));
    span.set_attribute("seedbed.bytes", attribute(manifest.bytes()));
    span.set_attribute(
        "seedbed.renditions",
        renditions.collect::<Vec<_>>().join(","),
    );
    describe_download(span, &manifest.download, &manifest.checkpoint);
    describe_way(span, manifest.way());
}

/// Describes on a job's span what it downloaded.
pub(super) fn describe_download(span: &Span, download: &Download, checkpoint: &Checkpoint) {
    span.set_attribute("seedbed.operations", attribute(download.operations));
    span.set_attribute("seedbed.downloaded", attribute(download.bytes));
    span.set_attribute("seedbed.checkpoint", checkpoint.last_op_id.to_string());
}

/// Describes on a job's span which way it went, and for a full download why.
pub(super) fn describe_way(span: &Span, way: Way) {
    span.set_attribute("seedbed.way", way.name());
    if let Some(why) = way.why() {
        span.set_attribute("seedbed.why", why);
    }
}
