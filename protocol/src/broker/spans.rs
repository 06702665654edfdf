//! Spans of publishing and processing a message, by OpenTelemetry's conventions for messaging.

use opentelemetry_semantic_conventions::attribute::{
    MESSAGING_DESTINATION_NAME, MESSAGING_MESSAGE_BODY_SIZE, MESSAGING_OPERATION_NAME,
    MESSAGING_OPERATION_TYPE, MESSAGING_RABBITMQ_DESTINATION_ROUTING_KEY, MESSAGING_SYSTEM,
    SERVER_ADDRESS, SERVER_PORT,
};
use tracing::{Instrument, Span, error_span, span::Id};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{
    contract::{Broker, Delivery},
    envelope::{Message, Subject},
    error::BrokerError,
    queue::Queue,
};
use crate::telemetry::trace::{attribute, fail};

/// Returns a span within `parent`, or the first of a trace, for publishing a message about `subject` to `queue`.
pub fn publish_span(
    broker: &dyn Broker,
    queue: Queue,
    subject: &Subject,
    parent: Option<Id>,
) -> Span {
    let span = error_span!(
        parent: parent,
        "publish",
        otel.name = format!("publish {queue}"),
        otel.kind = "producer",
        seedbed.run_id = %subject.run_id,
        seedbed.job_id = %subject.job_id,
        seedbed.store_id = %subject.store_id,
        seedbed.attempt = subject.attempt.get(),
    );
    describe(&span, broker, queue, ("publish", "send"));
    span
}

/// Publishes `message` within `span`.
///
/// # Errors
/// As [`Broker::publish`].
pub async fn publish_in(
    span: Span,
    broker: &dyn Broker,
    queue: Queue,
    message: Message,
) -> Result<(), BrokerError> {
    span.set_attribute(MESSAGING_MESSAGE_BODY_SIZE, attribute(message.body.len()));
    let published = broker
        .publish(queue, message)
        .instrument(span.clone())
        .await;
    if let Err(error) = &published {
        fail(&span, "publish", error);
    }
    published
}

/// Returns a span for processing `delivery` from `queue`: a child of the span that the message names.
pub fn process_span(broker: &dyn Broker, queue: Queue, delivery: &Delivery) -> Span {
    let headers = &delivery.message.headers;
    let subject = headers.subject.as_ref();
    // At the highest level, so that a log of errors alone still says which job each is about.
    let span = error_span!(
        parent: None,
        "process",
        otel.name = format!("process {queue}"),
        otel.kind = "consumer",
        seedbed.run_id = subject.map(|subject| tracing::field::display(subject.run_id)),
        seedbed.job_id = subject.map(|subject| tracing::field::display(subject.job_id)),
        seedbed.store_id = subject.map(|subject| tracing::field::display(&subject.store_id)),
        seedbed.attempt = subject.map(|subject| subject.attempt.get()),
    );
    headers.trace.adopt(&span);
    describe(&span, broker, queue, ("process", "process"));
    let bytes = attribute(delivery.message.body.len());
    span.set_attribute(MESSAGING_MESSAGE_BODY_SIZE, bytes);
    span.set_attribute("seedbed.returned", i64::from(delivery.returned));
    span
}

fn describe(
    span: &Span,
    broker: &dyn Broker,
    queue: Queue,
    (name, kind): (&'static str, &'static str),
) {
    let peer = broker.peer();
    span.set_attribute(MESSAGING_SYSTEM, peer.system);
    span.set_attribute(MESSAGING_OPERATION_NAME, name);
    span.set_attribute(MESSAGING_OPERATION_TYPE, kind);
    span.set_attribute(MESSAGING_DESTINATION_NAME, queue.name());
    if let Some((host, port)) = peer.address {
        // Published to the default exchange, which routes by the queue's name.
        span.set_attribute(MESSAGING_RABBITMQ_DESTINATION_ROUTING_KEY, queue.name());
        span.set_attribute(SERVER_ADDRESS, host);
        span.set_attribute(SERVER_PORT, i64::from(port));
    }
}
