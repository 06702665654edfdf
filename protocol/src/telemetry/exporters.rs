//! The exporters of traces and metrics, as the `OTEL_*` variables describe them.

use opentelemetry_otlp::{
    ExporterBuildError, MetricExporter, Protocol, SpanExporter, WithExportConfig, WithHttpConfig,
    WithTonicConfig,
    tonic_types::transport::{Certificate, ClientTlsConfig, Identity},
};

use super::{
    error::OtlpError,
    reporting::{Reported, Reporting},
    variables::{METRICS, Signal, TRACES},
};

/// Returns the exporter of traces; `None` when no collector is named.
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

/// Returns the exporter of metrics; `None` when no collector is named.
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

impl Signal {
    /// Builds a blocking client on a thread of its own, since it must not be built within an asynchronous runtime.
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

    fn failed(&self, source: ExporterBuildError) -> OtlpError {
        OtlpError::Exporter {
            signal: self.name,
            source,
        }
    }
}
