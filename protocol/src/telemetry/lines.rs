//! The forms of log lines: JSON, one object a line, with the trace and the job that it is about; and text for people.
//! Neither holds anything that breaks a line or changes a terminal.

use std::fmt;

use chrono::{SecondsFormat, Utc};
use opentelemetry::{Context, trace::TraceContextExt};
use serde_json::{Map, Value};
use tracing::{Event, Subscriber};
use tracing_serde::fields::AsMap;
use tracing_subscriber::{
    field::MakeExt,
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields,
        format::{JsonFields, Writer, debug_fn},
    },
    registry::LookupSpan,
};

use crate::error::text::{self, visible};

/// Fields of spans that every line within them has, and what they are called there. Shorter than the attributes of
/// traces, which need a namespace because other programs have attributes too.
const SUBJECT: [(&str, &str); 4] = [
    ("seedbed.run_id", "run"),
    ("seedbed.job_id", "job"),
    ("seedbed.store_id", "store"),
    ("seedbed.attempt", "attempt"),
];

/// Writes events as `{"timestamp":…,"level":…,"message":…,"target":…,"trace_id":…,"span_id":…,"run":…,"job":…}`, with
/// `store`, `attempt` and the fields of the event.
pub(super) struct JsonLines;

impl<S> FormatEvent<S, JsonFields> for JsonLines
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Map::new();
        let now = Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true);
        line.insert("timestamp".to_owned(), now.into());
        let level = event.metadata().level().as_str();
        line.insert("level".to_owned(), level.into());
        if let Ok(Value::Object(fields)) = serde_json::to_value(event.field_map()) {
            line.extend(fields);
        }
        line.insert("target".to_owned(), event.metadata().target().into());
        let current = Context::current();
        let span = current.span();
        let place = span.span_context();
        if place.is_valid() {
            line.insert("trace_id".to_owned(), place.trace_id().to_string().into());
            line.insert("span_id".to_owned(), place.span_id().to_string().into());
        }
        for span in context.event_scope().into_iter().flatten() {
            let extensions = span.extensions();
            let Some(fields) = extensions.get::<FormattedFields<JsonFields>>() else {
                continue;
            };
            let fields: Map<String, Value> = serde_json::from_str(fields).unwrap_or_default();
            for (field, name) in SUBJECT {
                if let Some(value) = fields.get(field) {
                    line.entry(name).or_insert_with(|| value.clone());
                }
            }
        }
        let line = text::json(&line).map_err(|_| fmt::Error)?;
        writeln!(writer, "{line}")
    }
}

/// Writes the fields of lines for people: the message, then `name=value`.
pub(super) fn visible_fields() -> impl for<'writer> FormatFields<'writer> + Send + Sync + 'static {
    debug_fn(|writer, field, value| {
        let value = format!("{value:?}");
        match field.name() {
            "message" => write!(writer, "{}", visible(&value)),
            name => write!(writer, "{name}={}", visible(&value)),
        }
    })
    .delimited(" ")
}
