//! Exports the spans of one trace in this process together, once the outermost has ended.
//!
//! A killed process never exports the spans that were open. Spans that had ended within them would, as usual, have been
//! exported before, and would be orphans in the trace. So spans are held back until the one ends that has no parent in
//! this process; a kill loses all of them, or none.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use opentelemetry::{
    Context, SpanId,
    trace::{Span as _, TraceContextExt},
};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanProcessor},
};

/// Spans that are held back at a time, of all jobs together. Further ones are exported at once.
const MOST_HELD: usize = 16_384;

/// Holds ended spans back until the first span of theirs in this process has ended, then passes all of them on.
#[derive(Debug)]
pub(super) struct WholeSpans<P> {
    exporting: P,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    /// Every open span, with the first span of this process that it belongs to.
    open: HashMap<SpanId, SpanId>,
    /// Ended spans, by their first span, which is still open.
    ended: HashMap<SpanId, Vec<SpanData>>,
    count: usize,
}

impl<P: SpanProcessor> WholeSpans<P> {
    /// Passes spans on to `exporting`.
    pub(super) fn new(exporting: P) -> Self {
        Self {
            exporting,
            held: Mutex::default(),
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn start(&mut self, span: SpanId, parent: Option<SpanId>) {
        let first = parent.and_then(|parent| self.open.get(&parent).copied());
        if first.is_none() {
            self.ended.insert(span, Vec::new());
        }
        self.open.insert(span, first.unwrap_or(span));
    }

    /// Returns the spans that can be exported now that `span` has ended.
    fn end(&mut self, span: SpanData) -> Vec<SpanData> {
        let id = span.span_context.span_id();
        let first = self.open.remove(&id);
        let ended = first.and_then(|first| self.ended.get_mut(&first));
        match ended {
            Some(ended) if first != Some(id) && self.count < MOST_HELD => {
                ended.push(span);
                self.count += 1;
                Vec::new()
            }
            _ => {
                let mut ended = self.ended.remove(&id).unwrap_or_default();
                self.count -= ended.len();
                ended.push(span);
                ended
            }
        }
    }
}

impl<P: SpanProcessor> SpanProcessor for WholeSpans<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        let parent = context.span().span_context().clone();
        let is_local = parent.is_valid() && !parent.is_remote();
        let parent = is_local.then(|| parent.span_id());
        self.held().start(span.span_context().span_id(), parent);
    }

    fn on_end(&self, span: SpanData) {
        let whole = self.held().end(span);
        for span in whole {
            self.exporting.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporting.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporting.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporting.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use opentelemetry::trace::{SpanContext, Tracer, TracerProvider};
    use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

    use super::*;

    /// Keeps the names of what it is given.
    #[derive(Debug, Clone, Default)]
    struct Exported(Arc<Mutex<Vec<String>>>);

    impl SpanProcessor for Exported {
        fn on_start(&self, _: &mut Span, _: &Context) {}

        fn on_end(&self, span: SpanData) {
            self.0.lock().unwrap().push(span.name.to_string());
        }

        fn force_flush(&self) -> OTelSdkResult {
            Ok(())
        }

        fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
            Ok(())
        }
    }

    fn tracer() -> (SdkTracer, Exported, SdkTracerProvider) {
        let exported = Exported::default();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(WholeSpans::new(exported.clone()))
            .build();
        (provider.tracer("tests"), exported, provider)
    }

    fn names(exported: &Exported) -> Vec<String> {
        exported.0.lock().unwrap().clone()
    }

    fn within(tracer: &SdkTracer, name: &'static str, parent: &Context) -> Context {
        Context::new().with_span(tracer.start_with_context(name, parent))
    }

    #[test]
    fn spans_wait_for_the_first_of_their_process() {
        let (tracer, exported, _provider) = tracer();
        let first = within(&tracer, "first", &Context::new());
        let second = within(&tracer, "second", &first);
        let third = within(&tracer, "third", &second);
        let other = within(&tracer, "other", &Context::new());
        third.span().end();
        second.span().end();
        assert_eq!(names(&exported), [""; 0]);
        other.span().end();
        assert_eq!(names(&exported), ["other"]);
        first.span().end();
        assert_eq!(names(&exported), ["other", "third", "second", "first"]);
    }

    #[test]
    fn a_parent_in_another_process_is_not_waited_for() {
        let (tracer, exported, _provider) = tracer();
        let remote = within(&tracer, "elsewhere", &Context::new());
        let place = remote.span().span_context().clone();
        let place = SpanContext::new(
            place.trace_id(),
            place.span_id(),
            place.trace_flags(),
            true,
            place.trace_state().clone(),
        );
        let here = Context::new().with_remote_span_context(place);
        within(&tracer, "here", &here).span().end();
        assert_eq!(names(&exported), ["here"]);
    }

    #[test]
    fn what_ends_after_its_first_span_is_exported_at_once() {
        let (tracer, exported, _provider) = tracer();
        let first = within(&tracer, "first", &Context::new());
        let late = within(&tracer, "late", &first);
        first.span().end();
        late.span().end();
        assert_eq!(names(&exported), ["first", "late"]);
    }

    #[test]
    fn no_more_is_held_back_than_the_limit() {
        let (tracer, exported, _provider) = tracer();
        let first = within(&tracer, "first", &Context::new());
        for _ in 0..MOST_HELD + 1 {
            within(&tracer, "inner", &first).span().end();
        }
        assert_eq!(names(&exported), ["inner"]);
        first.span().end();
        assert_eq!(names(&exported).len(), MOST_HELD + 2);
    }
}
