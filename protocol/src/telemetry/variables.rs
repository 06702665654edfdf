//! What the standard `OTEL_*` variables say, and a clear error for what the SDK would silently replace by a default.
//!
//! The SDK and its exporters read most variables themselves (endpoints, headers, timeouts, compression, batches,
//! resource). Here is what they leave to the program: whether a signal is exported at all, its protocol, its TLS files.

use std::{env, fs};

use opentelemetry_otlp::{OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL, Protocol};

use super::error::OtlpError;

/// Traces or metrics, and the variables that are for one of them alone.
pub(super) struct Signal {
    pub(super) name: &'static str,
    exporter: &'static str,
    endpoint: &'static str,
    protocol: &'static str,
    pub(super) certificate: &'static str,
    client_certificate: &'static str,
    client_key: &'static str,
}

pub(super) const TRACES: Signal = Signal {
    name: "traces",
    exporter: "OTEL_TRACES_EXPORTER",
    endpoint: "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    protocol: "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    certificate: "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
    client_certificate: "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE",
    client_key: "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY",
};

pub(super) const METRICS: Signal = Signal {
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

/// Returns a variable that is set and not empty.
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

/// Refuses a sampler that the SDK does not understand: it would sample everything.
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
    /// Returns whether it is exported to a collector.
    pub(super) fn is_exported(&self) -> Result<bool, OtlpError> {
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

    pub(super) fn protocol(&self) -> Result<Protocol, OtlpError> {
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

    pub(super) fn tls(&self) -> Result<TlsFiles, OtlpError> {
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
}

/// PEM files.
pub(super) struct TlsFiles {
    pub(super) authority: Option<Vec<u8>>,
    pub(super) identity: Option<(Vec<u8>, Vec<u8>)>,
}
