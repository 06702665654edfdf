//! Exporters by the standard `OTEL_*` variables, and what they say when a collector does not answer.
//!
//! The SDK and its exporters read most variables themselves (endpoints, headers, timeouts, compression, batches,
//! resource). Here is what they leave to the program: whether there is an exporter at all, its protocol, its TLS files;
//! and a clear error for what they would silently replace by a default.

use std::{
    env, fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use opentelemetry_otlp::{
    ExporterBuildError, MetricExporter, OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL,
    Protocol, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig,
    tonic_types::transport::{Certificate, ClientTlsConfig, Identity},
};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    metrics::{Temporality, data::ResourceMetrics, exporter::PushMetricExporter},
    trace::SpanData,
};
use tracing::warn;

/// An `OTEL_*` variable is wrong.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    /// Its value makes no sense.
    #[error("{variable} is {value:?}; it has to be {expected}")]
    Variable {
        /// Its name.
        variable: &'static str,
        /// What it is.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// It names a file that cannot be used.
    #[error("{variable}: {path}: {reason}")]
    File {
        /// Its name.
        variable: &'static str,
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The exporter does not accept them.
    #[error("cannot export {signal} with these OTEL_EXPORTER_OTLP_* variables: {source}")]
    Exporter {
        /// Traces or metrics.
        signal: &'static str,
        /// Why.
        source: ExporterBuildError,
    },
}

/// What is exported, and the variables that are for it alone.
struct Signal {
    name: &'static str,
    exporter: &'static str,
    endpoint: &'static str,
    protocol: &'static str,
    certificate: &'static str,
    client_certificate: &'static str,
    client_key: &'static str,
}

const TRACES: Signal = Signal {
    name: "traces",
    exporter: "OTEL_TRACES_EXPORTER",
    endpoint: "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    protocol: "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    certificate: "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
    client_certificate: "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE",
    client_key: "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY",
};

const METRICS: Signal = Signal {
    name: "metrics",
    exporter: "OTEL_METRICS_EXPORTER",
    endpoint: "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    protocol: "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
    certificate: "OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE",
    client_certificate: "OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE",
    client_key: "OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY",
};

const CERTIFICATE: &str = "OTEL_EXPORTER_OTLP_CERTIFICATE";
const CLIENT_CERTIFICATE: &str = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE";
const CLIENT_KEY: &str = "OTEL_EXPORTER_OTLP_CLIENT_KEY";

/// A variable that is set, and to something.
fn variable(name: &'static str) -> Option<(&'static str, String)> {
    let value = env::var(name).ok().filter(|value| !value.is_empty());
    value.map(|value| (name, value))
}

pub(super) fn has_service_name() -> bool {
    variable("OTEL_SERVICE_NAME").is_some()
        || variable("OTEL_RESOURCE_ATTRIBUTES")
            .is_some_and(|(_, attributes)| attributes.contains("service.name="))
}

pub(super) fn has_queue_size() -> bool {
    variable("OTEL_BSP_MAX_QUEUE_SIZE").is_some()
}

/// The SDK would sample everything if it did not understand the sampler.
pub(super) fn check_sampler() -> Result<(), OtlpError> {
    const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";
    let Some((name, sampler)) = variable("OTEL_TRACES_SAMPLER") else {
        return Ok(());
    };
    match sampler.as_str() {
        "always_on" | "always_off" | "parentbased_always_on" | "parentbased_always_off" => Ok(()),
        "traceidratio" | "parentbased_traceidratio" => {
            let value = variable(ARGUMENT).map_or_else(String::new, |(_, value)| value);
            match value.parse::<f64>() {
                Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(()),
                _ => Err(OtlpError::Variable {
                    variable: ARGUMENT,
                    value,
                    expected: "a ratio from 0 to 1",
                }),
            }
        }
        _ => Err(OtlpError::Variable {
            variable: name,
            value: sampler,
            expected: "[parentbased_]always_on, [parentbased_]always_off or [parentbased_]traceidratio",
        }),
    }
}

impl Signal {
    /// Whether a collector is to have it.
    fn is_exported(&self) -> Result<bool, OtlpError> {
        if variable("OTEL_SDK_DISABLED")
            .is_some_and(|(_, value)| value.eq_ignore_ascii_case("true"))
        {
            return Ok(false);
        }
        match variable(self.exporter) {
            Some((_, value)) if value == "none" => return Ok(false),
            Some((variable, value)) if value != "otlp" => {
                return Err(OtlpError::Variable {
                    variable,
                    value,
                    expected: "otlp or none",
                });
            }
            _ => {}
        }
        let endpoint = variable(self.endpoint).or_else(|| variable(OTEL_EXPORTER_OTLP_ENDPOINT));
        let Some((variable, value)) = endpoint else {
            return Ok(false);
        };
        let is_http = |url: &url::Url| matches!(url.scheme(), "http" | "https") && url.has_host();
        if url::Url::parse(&value).is_ok_and(|url| is_http(&url)) {
            return Ok(true);
        }
        Err(OtlpError::Variable {
            variable,
            // It may have a password in it.
            value: value.split('@').next_back().unwrap_or_default().to_owned(),
            expected: "an http:// or https:// URL, such as http://localhost:4318",
        })
    }

    fn protocol(&self) -> Result<Protocol, OtlpError> {
        let set = variable(self.protocol).or_else(|| variable(OTEL_EXPORTER_OTLP_PROTOCOL));
        let Some((variable, value)) = set else {
            return Ok(Protocol::HttpBinary);
        };
        match value.as_str() {
            "grpc" => Ok(Protocol::Grpc),
            "http/protobuf" => Ok(Protocol::HttpBinary),
            _ => Err(OtlpError::Variable {
                variable,
                value,
                expected: "grpc or http/protobuf",
            }),
        }
    }

    fn tls(&self) -> Result<TlsFiles, OtlpError> {
        let file = |own, general| match variable(own).or_else(|| variable(general)) {
            Some((variable, path)) => match fs::read(&path) {
                Ok(pem) => Ok(Some(pem)),
                Err(error) => Err(OtlpError::File {
                    variable,
                    path,
                    reason: error.to_string(),
                }),
            },
            None => Ok(None),
        };
        let certificate = file(self.client_certificate, CLIENT_CERTIFICATE)?;
        let key = file(self.client_key, CLIENT_KEY)?;
        Ok(TlsFiles {
            authority: file(self.certificate, CERTIFICATE)?,
            identity: certificate.zip(key),
        })
    }

    fn failed(&self, source: ExporterBuildError) -> OtlpError {
        OtlpError::Exporter {
            signal: self.name,
            source,
        }
    }

    /// A client of its own, on a thread of its own: the exporter's is blocking, and may neither be made nor be used
    /// within an asynchronous runtime.
    fn http_client(&self) -> Result<reqwest::blocking::Client, OtlpError> {
        let tls = self.tls()?;
        let build = move || {
            // An exporter sets a time limit for each request.
            let mut client = reqwest::blocking::Client::builder().timeout(None);
            if let Some(pem) = tls.authority {
                client = client.tls_certs_merge(reqwest::Certificate::from_pem_bundle(&pem)?);
            }
            if let Some((mut certificate, key)) = tls.identity {
                certificate.extend(key);
                client = client.identity(reqwest::Identity::from_pem(&certificate)?);
            }
            client.build()
        };
        let built = std::thread::spawn(build).join();
        let built = built.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        built.map_err(|e: reqwest::Error| OtlpError::File {
            variable: self.certificate,
            path: "TLS".to_owned(),
            reason: e.to_string(),
        })
    }

    fn grpc_tls(&self) -> Result<ClientTlsConfig, OtlpError> {
        let tls = self.tls()?;
        let mut config = ClientTlsConfig::new().with_native_roots();
        if let Some(pem) = tls.authority {
            config = config.ca_certificate(Certificate::from_pem(pem));
        }
        if let Some((certificate, key)) = tls.identity {
            config = config.identity(Identity::from_pem(certificate, key));
        }
        Ok(config)
    }
}

/// PEM files.
struct TlsFiles {
    authority: Option<Vec<u8>>,
    identity: Option<(Vec<u8>, Vec<u8>)>,
}

/// The exporter of traces; `None` when no collector is named.
pub(super) fn span_exporter(
    reporting: &Reporting,
) -> Result<Option<Reported<SpanExporter>>, OtlpError> {
    if !TRACES.is_exported()? {
        return Ok(None);
    }
    let builder = SpanExporter::builder();
    let exporter = match TRACES.protocol()? {
        protocol @ Protocol::Grpc => builder
            .with_tonic()
            .with_protocol(protocol)
            .with_tls_config(TRACES.grpc_tls()?)
            .build(),
        protocol => builder
            .with_http()
            .with_protocol(protocol)
            .with_http_client(TRACES.http_client()?)
            .build(),
    };
    let exporter = exporter.map_err(|source| TRACES.failed(source))?;
    Ok(Some(reporting.of(TRACES.name, exporter)))
}

/// The exporter of metrics; `None` when no collector is named.
pub(super) fn metric_exporter(
    reporting: &Reporting,
) -> Result<Option<Reported<MetricExporter>>, OtlpError> {
    if !METRICS.is_exported()? {
        return Ok(None);
    }
    let builder = MetricExporter::builder();
    let exporter = match METRICS.protocol()? {
        protocol @ Protocol::Grpc => builder
            .with_tonic()
            .with_protocol(protocol)
            .with_tls_config(METRICS.grpc_tls()?)
            .build(),
        protocol => builder
            .with_http()
            .with_protocol(protocol)
            .with_http_client(METRICS.http_client()?)
            .build(),
    };
    let exporter = exporter.map_err(|source| METRICS.failed(source))?;
    Ok(Some(reporting.of(METRICS.name, exporter)))
}

/// Whether a collector takes what is exported.
#[derive(Debug, Clone, Default)]
pub(super) struct Reporting {
    failing: Arc<AtomicBool>,
}

impl Reporting {
    /// Whether the last export failed.
    pub(super) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    fn of<E>(&self, signal: &'static str, exporter: E) -> Reported<E> {
        Reported {
            signal,
            exporter,
            reporting: self.clone(),
        }
    }
}

/// An exporter that logs when it starts to fail and when it works again, and not for every batch in between.
#[derive(Debug)]
pub(super) struct Reported<E> {
    signal: &'static str,
    exporter: E,
    reporting: Reporting,
}

impl<E> Reported<E> {
    fn note(&self, exported: OTelSdkResult) -> OTelSdkResult {
        let was_failing = self
            .reporting
            .failing
            .swap(exported.is_err(), Ordering::Relaxed);
        match &exported {
            Err(error) if !was_failing => warn!(
                "{} are lost while the collector does not take them: {error}",
                self.signal
            ),
            // As loud as what it ends.
            Ok(()) if was_failing => warn!("the collector takes {} again", self.signal),
            _ => {}
        }
        exported
    }
}

impl<E: opentelemetry_sdk::trace::SpanExporter> opentelemetry_sdk::trace::SpanExporter
    for Reported<E>
{
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.note(self.exporter.export(batch).await)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Reported<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.note(self.exporter.export(metrics).await)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}
