//! The W3C trace context that every message carries (<https://www.w3.org/TR/trace-context/>), and helpers for spans.
//!
//! Spans and their attributes follow OpenTelemetry's semantic conventions 1.42 for messaging, HTTP, databases, object
//! stores and exceptions; the attributes of Seedbed itself begin with `seedbed.`.

use std::collections::HashMap;

use opentelemetry::{
    Context, KeyValue,
    propagation::TextMapPropagator,
    trace::{Status, TraceContextExt},
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_semantic_conventions::attribute::{
    ERROR_TYPE, EXCEPTION_MESSAGE, EXCEPTION_TYPE,
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The name of the header with the trace id and the parent span.
pub const TRACEPARENT: &str = "traceparent";
/// The name of the header with vendors' additions.
pub const TRACESTATE: &str = "tracestate";

/// A place in a trace, as text that goes into message headers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TraceContext {
    /// W3C `traceparent`; `None` outside of any trace.
    pub traceparent: Option<String>,
    /// W3C `tracestate`.
    pub tracestate: Option<String>,
}

impl TraceContext {
    /// Returns the context of `span`.
    pub fn of(span: &Span) -> Self {
        let mut carrier = HashMap::new();
        TraceContextPropagator::new().inject_context(&span.context(), &mut carrier);
        let mut take = |name| {
            carrier
                .remove(name)
                .filter(|value: &String| !value.is_empty())
        };
        Self {
            traceparent: take(TRACEPARENT),
            tracestate: take(TRACESTATE),
        }
    }

    /// Makes `span` a child of the span that this context names. A foreign or missing context leaves the
    /// span where it is: tracing never stops a job.
    pub fn adopt(&self, span: &Span) {
        if let Some(parent) = self.named() {
            // Fails only when no OpenTelemetry layer is installed, and then there is no trace to join.
            let _ = span.set_parent(parent);
        }
    }

    /// Links `span` to the span that this context names, if it names one.
    pub fn link(&self, span: &Span) {
        if let Some(linked) = self.named() {
            span.add_link(linked.span().span_context().clone());
        }
    }

    fn named(&self) -> Option<Context> {
        let header = |name: &str, value: &Option<String>| Some((name.to_owned(), value.clone()?));
        let headers = [
            header(TRACEPARENT, &self.traceparent),
            header(TRACESTATE, &self.tracestate),
        ];
        let carrier: HashMap<String, String> = headers.into_iter().flatten().collect();
        let named = TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier);
        let is_valid = named.span().span_context().is_valid();
        is_valid.then_some(named)
    }
}

/// Returns the trace id of `span` as 32 hex digits; `None` when nothing is traced.
pub fn trace_id(span: &Span) -> Option<String> {
    let context = span.context();
    let span = context.span();
    let span_context = span.span_context();
    span_context
        .is_valid()
        .then(|| span_context.trace_id().to_string())
}

/// Marks `span` as failed: its status, an `exception` event, and `error.type`, which has few values.
pub fn fail(span: &Span, error_type: &'static str, error: &dyn std::fmt::Display) {
    let message = error.to_string();
    span.set_attribute(ERROR_TYPE, error_type);
    span.add_event(
        "exception",
        vec![
            KeyValue::new(EXCEPTION_TYPE, error_type),
            KeyValue::new(EXCEPTION_MESSAGE, message.clone()),
        ],
    );
    span.set_status(Status::error(message));
}

/// Returns a count as the signed integer that attributes hold.
pub fn attribute(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}
