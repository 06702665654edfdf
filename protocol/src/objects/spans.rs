//! Spans of requests to object storage, by OpenTelemetry's conventions where there are some: for S3.

use opentelemetry_semantic_conventions::attribute::{AWS_S3_BUCKET, AWS_S3_KEY};
use tracing::{Instrument, Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{error::StorageError, place::Place};
use crate::telemetry::trace::fail;

/// Does `work` on the object `key` within a span of its own.
pub(super) async fn traced<T>(
    place: &Place,
    operation: &'static str,
    key: &str,
    work: impl Future<Output = Result<T, StorageError>>,
) -> Result<T, StorageError> {
    let span = span(place, operation, key);
    let done = work.instrument(span.clone()).await;
    if let Err(error) = &done {
        fail(&span, error.name(), error);
    }
    done
}

fn span(place: &Place, operation: &'static str, key: &str) -> Span {
    let (scheme, path) = place.url.split_once(':').unwrap_or_default();
    let span = info_span!(
        "object",
        otel.name = format!("{operation} {scheme}"),
        otel.kind = "client",
    );
    let (bucket_name, key_name) = match scheme {
        "s3" => (AWS_S3_BUCKET, AWS_S3_KEY),
        _ => ("seedbed.object.container", "seedbed.object.key"),
    };
    let path = path.trim_start_matches('/');
    match path.split_once('/') {
        _ if scheme == "file" => span.set_attribute(key_name, key.to_owned()),
        Some((bucket, prefix)) => {
            span.set_attribute(bucket_name, bucket.to_owned());
            span.set_attribute(key_name, format!("{prefix}/{key}"));
        }
        None => {
            span.set_attribute(bucket_name, path.to_owned());
            span.set_attribute(key_name, key.to_owned());
        }
    }
    span
}
