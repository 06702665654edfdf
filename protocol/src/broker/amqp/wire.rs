//! Turns a [`Message`] into AMQP properties and headers, and back.
//!
//! Reading never fails: what another program published is a message without a subject, which its consumer parks with a
//! reason.

use std::time::Duration;

use bytes::Bytes;
use chrono::Utc;
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use super::{
    super::{
        envelope::{Headers, Message, Subject},
        queue::{Queue, RETURN_LIMIT},
    },
    topology::Route,
};
use crate::{
    ids::{Attempt, StoreId},
    manifest::{Notes, Rendition},
    message::Extras,
    telemetry::trace::{TRACEPARENT, TRACESTATE, TraceContext},
};

const RUN_ID: &str = "seedbed-run-id";
const JOB_ID: &str = "seedbed-job-id";
const STORE_ID: &str = "seedbed-store-id";
const ATTEMPT: &str = "seedbed-attempt";
const PARKED: &str = "seedbed-parked";
/// Notes, one a line.
const NOTES: &str = "seedbed-notes";
/// Renditions, as JSON: nine at most, of less than 500 bytes each.
const RENDITIONS: &str = "seedbed-renditions";
/// The sealed ones, four at most. Older readers would read none of the others for their encodings.
const SEALED: &str = "seedbed-sealed";
/// Steps with their times, as JSON: a dozen.
const STEPS: &str = "seedbed-steps";
/// How many jobs of a worker wait for the service.
const WAITING: &str = "seedbed-waiting";

/// RabbitMQ's count of returns to a quorum queue; absent on a message that never came back.
const DELIVERY_COUNT: &str = "x-delivery-count";

/// RabbitMQ's list of the queues that dead-lettered a message
/// (<https://www.rabbitmq.com/docs/dlx#effects>).
const DEATHS: &str = "x-death";

/// AMQP's number for a message that is kept on disk.
const PERSISTENT: u8 = 2;

/// The priority of a message that is delivered before others. RabbitMQ 4 has two in a quorum queue: above 4, and up to 4;
/// RabbitMQ 3 ignores them there (<https://www.rabbitmq.com/docs/quorum-queues#priorities>).
const URGENT: u8 = 5;

/// How much of a text goes into a header. All headers of a message share one frame, of 128 KiB by default, and
/// RabbitMQ ends the connection over more.
const MAX_TEXT_BYTES: usize = 4096;

/// How much JSON goes into a header, which cannot be cut: more is left out.
const MAX_JSON_BYTES: usize = 16 * 1024;

/// A message with its route, ready to be published as often as needed.
pub(super) struct Letter {
    pub(super) queue: String,
    pub(super) properties: BasicProperties,
    pub(super) body: Bytes,
}

impl Letter {
    pub(super) fn new(route: Route, message: Message) -> Self {
        let seconds = u64::try_from(Utc::now().timestamp()).unwrap_or_default();
        let mut properties = BasicProperties::default()
            .with_content_type("application/octet-stream".into())
            .with_delivery_mode(PERSISTENT)
            .with_message_id(Uuid::now_v7().to_string().into())
            .with_timestamp(seconds);
        if message.headers.urgent {
            properties = properties.with_priority(URGENT);
        }
        properties = properties.with_headers(fields(message.headers));
        if let Some(delay) = route.expires {
            // RabbitMQ reads whole milliseconds as text; 0 would expire before it is stored.
            properties = properties.with_expiration(
                delay
                    .max(Duration::from_millis(1))
                    .as_millis()
                    .to_string()
                    .into(),
            );
        }
        Self {
            queue: route.queue,
            properties,
            body: message.body,
        }
    }

    /// Returns the id by which a returned copy is recognised.
    pub(super) fn id(&self) -> Option<&str> {
        id(&self.properties)
    }
}

pub(super) fn id(properties: &BasicProperties) -> Option<&str> {
    properties.message_id().as_ref().map(|id| id.as_str())
}

fn fields(headers: Headers) -> FieldTable {
    let mut fields = FieldTable::default();
    let is_sealed = |rendition: &Rendition| rendition.kind().is_sealed();
    let extras = headers.extras;
    let (sealed, plain): (Vec<_>, Vec<_>) = extras.renditions.into_iter().partition(is_sealed);
    put_json(&mut fields, RENDITIONS, &plain);
    put_json(&mut fields, SEALED, &sealed);
    put_json(&mut fields, STEPS, &extras.steps);
    if extras.waiting > 0 {
        fields.insert(WAITING.into(), i64::from(extras.waiting).into());
    }
    let mut put = |name: &str, value: Option<String>| {
        if let Some(mut value) = value {
            value.truncate(value.floor_char_boundary(MAX_TEXT_BYTES));
            fields.insert(name.into(), AMQPValue::LongString(value.into()));
        }
    };
    put(TRACEPARENT, headers.trace.traceparent);
    put(TRACESTATE, headers.trace.tracestate);
    put(PARKED, headers.parked);
    let notes = extras.notes.0.join("\n");
    put(NOTES, Some(notes).filter(|notes| !notes.is_empty()));
    if let Some(subject) = headers.subject {
        put(RUN_ID, Some(subject.run_id.to_string()));
        put(JOB_ID, Some(subject.job_id.to_string()));
        put(STORE_ID, Some(subject.store_id.to_string()));
        fields.insert(ATTEMPT.into(), i64::from(subject.attempt.get()).into());
    }
    fields
}

fn put_json(fields: &mut FieldTable, name: &str, list: &[impl Serialize]) {
    if !list.is_empty()
        && let Ok(json) = serde_json::to_string(list)
        && json.len() <= MAX_JSON_BYTES
    {
        fields.insert(name.into(), AMQPValue::LongString(json.into()));
    }
}

/// Reads a list that [`put_json`] wrote; what is damaged is none.
fn listed<T: DeserializeOwned>(fields: &FieldTable, name: &str) -> Vec<T> {
    let json = text(fields, name);
    json.and_then(|json| serde_json::from_str(&json).ok())
        .unwrap_or_default()
}

/// Returns the message in a delivery from `queue`, and how often it was returned before.
pub(super) fn read(queue: Queue, body: Vec<u8>, properties: &BasicProperties) -> (Message, u32) {
    let none = FieldTable::default();
    let fields = properties.headers().as_ref().unwrap_or(&none);
    let parked = text(fields, PARKED);
    let died = dead_letter_reason(queue, fields);
    let headers = Headers {
        subject: subject(fields),
        trace: TraceContext {
            traceparent: text(fields, TRACEPARENT),
            tracestate: text(fields, TRACESTATE),
        },
        extras: extras(fields),
        urgent: properties.priority().is_some_and(|p| p >= URGENT),
        dead_lettered: parked.is_none() && died.is_some(),
        parked: parked.or(died),
    };
    let returned = number(fields, DELIVERY_COUNT).unwrap_or_default();
    let body = body.into();
    (Message { body, headers }, returned)
}

fn extras(fields: &FieldTable) -> Extras {
    let notes = text(fields, NOTES);
    let notes = notes.iter().flat_map(|notes| notes.lines());
    let waiting = number(fields, WAITING).unwrap_or_default();
    Extras {
        notes: Notes(notes.map(ToOwned::to_owned).collect()),
        renditions: [RENDITIONS, SEALED]
            .into_iter()
            .flat_map(|name| listed(fields, name))
            .collect(),
        steps: listed(fields, STEPS),
        waiting: u16::try_from(waiting).unwrap_or(u16::MAX),
    }
}

fn subject(fields: &FieldTable) -> Option<Subject> {
    Some(Subject {
        run_id: text(fields, RUN_ID)?.parse().ok()?,
        job_id: text(fields, JOB_ID)?.parse().ok()?,
        store_id: StoreId::new(text(fields, STORE_ID)?).ok()?,
        attempt: Attempt::new(number(fields, ATTEMPT)?)?,
    })
}

/// Returns why RabbitMQ itself put the message into the parking queue `queue`. On a work queue, the header is about the
/// delay queue that the message came from.
fn dead_letter_reason(queue: Queue, fields: &FieldTable) -> Option<String> {
    let AMQPValue::FieldArray(deaths) = fields.inner().get(DEATHS)? else {
        return None;
    };
    if queue != queue.parking() {
        return None;
    }
    // The newest comes first.
    let Some(AMQPValue::FieldTable(death)) = deaths.as_slice().first() else {
        return None;
    };
    let from = text(death, "queue")?;
    // A job that waited for a retry brings the death in its delay queue along.
    let mut work = Queue::ALL
        .into_iter()
        .filter(|work| work.parking() == queue);
    if !work.any(|work| work.name() == from) {
        return None;
    }
    Some(match text(death, "reason")?.as_str() {
        "delivery_limit" => format!("it came back unsettled {} times", RETURN_LIMIT + 1),
        "expired" => format!("its time in {from} ran out (a policy sets message-ttl)"),
        "maxlen" => format!("{from} was full (a policy sets max-length)"),
        "rejected" => format!("something took it from {from} and rejected it"),
        reason => format!("RabbitMQ took it out of {from}: {reason}"),
    })
}

fn text(fields: &FieldTable, name: &str) -> Option<String> {
    match fields.inner().get(name)? {
        AMQPValue::LongString(text) => String::from_utf8(text.as_bytes().to_vec()).ok(),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    }
}

/// Returns an integer of any of AMQP's sizes: publishers may choose any.
fn number(fields: &FieldTable, name: &str) -> Option<u32> {
    let number = match *fields.inner().get(name)? {
        AMQPValue::ShortShortInt(number) => number.into(),
        AMQPValue::ShortShortUInt(number) => number.into(),
        AMQPValue::ShortInt(number) => number.into(),
        AMQPValue::ShortUInt(number) => number.into(),
        AMQPValue::LongInt(number) => number.into(),
        AMQPValue::LongUInt(number) => number.into(),
        AMQPValue::LongLongInt(number) => number,
        _ => return None,
    };
    u32::try_from(number).ok()
}
