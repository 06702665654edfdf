//! The W3C trace context that every message carries (<https://www.w3.org/TR/trace-context/>).

use std::collections::HashMap;

use opentelemetry::{Context, propagation::TextMapPropagator, trace::TraceContextExt};
use opentelemetry_sdk::propagation::TraceContextPropagator;
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
    /// The context of `span`.
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
        let mut carrier = HashMap::new();
        carrier.extend(
            self.traceparent
                .clone()
                .map(|value| (TRACEPARENT.to_owned(), value)),
        );
        carrier.extend(
            self.tracestate
                .clone()
                .map(|value| (TRACESTATE.to_owned(), value)),
        );
        let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier);
        if parent.span().span_context().is_valid() {
            // Fails only when no OpenTelemetry layer is installed, and then there is no trace to join.
            let _ = span.set_parent(parent);
        }
    }
}

/// The trace id of `span` as 32 hex digits; `None` when nobody traces.
pub fn trace_id(span: &Span) -> Option<String> {
    let context = span.context();
    let span = context.span();
    let span_context = span.span_context();
    span_context
        .is_valid()
        .then(|| span_context.trace_id().to_string())
}
