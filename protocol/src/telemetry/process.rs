//! Starts the telemetry of a process, and ends it within a second.

use std::{sync::mpsc, thread, time::Duration};

use opentelemetry::{InstrumentationScope, KeyValue, global, trace::TracerProvider};
use opentelemetry_sdk::{
    Resource,
    metrics::{PeriodicReader, SdkMeterProvider},
    trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider},
};
use opentelemetry_semantic_conventions::{
    SCHEMA_URL,
    attribute::{SERVICE_INSTANCE_ID, SERVICE_VERSION},
};
use prometheus::Registry;
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use super::{
    config::LogConfig,
    error::{OtlpError, TelemetryError},
    exporters::{metric_exporter, span_exporter},
    logs::{log_filter, log_lines},
    reporting::Reporting,
    scope::SCOPE,
    scrape::METRICS,
    variables::{check_sampler, has_queue_size, has_service_name},
    whole::WholeSpans,
};

/// How long a process that ends waits for a collector to take spans and metrics.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Spans that wait for a collector, unless `OTEL_BSP_MAX_QUEUE_SIZE` says so: a coordinator publishes thousands of
/// jobs within a second, and each has one. About 1 KiB each.
const QUEUE_SIZE: usize = 16_384;

/// Telemetry of a process, until [`Telemetry::shutdown`].
#[derive(Debug)]
#[must_use = "buffered spans are lost unless it is shut down"]
pub struct Telemetry {
    tracers: SdkTracerProvider,
    meters: SdkMeterProvider,
    reporting: Reporting,
}

impl Telemetry {
    /// Logs go to standard error from here on, and every span has a W3C trace id. Spans and metrics go to the
    /// collector that the standard variables name (`OTEL_EXPORTER_OTLP_ENDPOINT` and its companions,
    /// <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>), if they name one.
    /// `service` is the `service.name`, unless `OTEL_SERVICE_NAME` says otherwise.
    ///
    /// Has to be called within a tokio runtime, which OTLP over gRPC lives on.
    ///
    /// # Errors
    /// [`TelemetryError`] names the setting or variable that is wrong.
    pub fn start(service: &'static str, log: &LogConfig) -> Result<Self, TelemetryError> {
        let filter = log_filter(log)?;
        let reporting = Reporting::default();
        let resource = resource(service);
        let tracers = tracers(resource.clone(), &reporting)?;
        let meters = meters(resource, &reporting)?;
        global::set_meter_provider(meters.clone());
        let scope = InstrumentationScope::builder(SCOPE)
            .with_schema_url(SCHEMA_URL)
            .build();
        let traces = tracing_opentelemetry::layer()
            .with_tracer(tracers.tracer_with_scope(scope))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            // Without the spans of libraries: they would be most of a trace, and no one has checked them for secrets.
            .with_filter(Targets::new().with_target(SCOPE, LevelFilter::INFO));
        // A second start, as in tests, keeps the first's subscriber.
        let _ = tracing_subscriber::registry()
            .with(log_lines(log.format).with_filter(filter))
            .with(traces)
            .try_init();
        Ok(Self {
            tracers,
            meters,
            reporting,
        })
    }

    /// Exports what is buffered, within a second or not at all: a collector that does not answer is not waited for.
    pub fn shutdown(self) {
        // The SDK ignores its timeouts while an export is in flight: hence a thread that is left behind.
        let (done, flushed) = mpsc::channel();
        let flush = move || {
            // Failures are not reported: only what a dead collector loses anyway is lost.
            if !self.reporting.is_failing() {
                let _ = self.tracers.shutdown_with_timeout(FLUSH_TIMEOUT);
            }
            if !self.reporting.is_failing() {
                let _ = self.meters.shutdown_with_timeout(FLUSH_TIMEOUT);
            }
            let _ = done.send(());
        };
        if thread::Builder::new().spawn(flush).is_ok() {
            let _ = flushed.recv_timeout(FLUSH_TIMEOUT);
        }
    }
}

fn resource(service: &'static str) -> Resource {
    let host = gethostname::gethostname();
    let instance = format!("{}-{}", host.display(), std::process::id());
    let builder = Resource::builder().with_attributes([
        KeyValue::new(SERVICE_VERSION, env!("CARGO_PKG_VERSION")),
        KeyValue::new(SERVICE_INSTANCE_ID, instance),
    ]);
    if has_service_name() {
        builder.build()
    } else {
        builder.with_service_name(service).build()
    }
}

fn tracers(resource: Resource, reporting: &Reporting) -> Result<SdkTracerProvider, OtlpError> {
    check_sampler()?;
    let builder = SdkTracerProvider::builder().with_resource(resource);
    // Without an exporter, the provider only gives every job a trace id that its messages, its log lines and the
    // catalog share.
    let Some(exporter) = span_exporter(reporting)? else {
        return Ok(builder.build());
    };
    let mut batches = BatchConfigBuilder::default();
    if !has_queue_size() {
        batches = batches.with_max_queue_size(QUEUE_SIZE);
    }
    let batches = BatchSpanProcessor::builder(exporter)
        .with_batch_config(batches.build())
        .build();
    Ok(builder
        .with_span_processor(WholeSpans::new(batches))
        .build())
}

fn meters(resource: Resource, reporting: &Reporting) -> Result<SdkMeterProvider, OtlpError> {
    let mut builder = SdkMeterProvider::builder().with_resource(resource);
    let registry = Registry::new();
    let for_prometheus = opentelemetry_prometheus::exporter()
        .with_registry(registry.clone())
        .scope_info_enabled(false)
        .build();
    if let Ok(reader) = for_prometheus
        && METRICS.set(registry).is_ok()
    {
        builder = builder.with_reader(reader);
    }
    if let Some(exporter) = metric_exporter(reporting)? {
        builder = builder.with_reader(PeriodicReader::builder(exporter).build());
    }
    Ok(builder.build())
}
