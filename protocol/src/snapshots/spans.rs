//! Spans of requests to the store, by OpenTelemetry's conventions for object stores where there are some: for S3.

use opentelemetry_semantic_conventions::attribute::{AWS_S3_BUCKET, AWS_S3_KEY};
use tracing::{Instrument, Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{SnapshotStore, SnapshotStoreError};
use crate::trace::fail;

impl SnapshotStore {
    /// Does `work` on the object `key` within a span of its own.
    pub(super) async fn traced<T>(
        &self,
        operation: &'static str,
        key: &str,
        work: impl Future<Output = Result<T, SnapshotStoreError>>,
    ) -> Result<T, SnapshotStoreError> {
        let span = self.span(operation, key);
        let done = work.instrument(span.clone()).await;
        if let Err(error) = &done {
            fail(&span, error.name(), error);
        }
        done
    }

    fn span(&self, operation: &'static str, key: &str) -> Span {
        let (scheme, place) = self.url().split_once(':').unwrap_or_default();
        let span = info_span!(
            "object",
            otel.name = format!("{operation} {scheme}"),
            otel.kind = "client",
        );
        let (bucket_name, key_name) = match scheme {
            "s3" => (AWS_S3_BUCKET, AWS_S3_KEY),
            _ => ("seedbed.object.container", "seedbed.object.key"),
        };
        let place = place.trim_start_matches('/');
        match place.split_once('/') {
            _ if scheme == "file" => span.set_attribute(key_name, key.to_owned()),
            Some((bucket, prefix)) => {
                span.set_attribute(bucket_name, bucket.to_owned());
                span.set_attribute(key_name, format!("{prefix}/{key}"));
            }
            None => {
                span.set_attribute(bucket_name, place.to_owned());
                span.set_attribute(key_name, key.to_owned());
            }
        }
        span
    }
}
