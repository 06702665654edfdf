//! Sets up logs and trace ids for a process.

use std::io::IsTerminal;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use serde::Deserialize;
use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Pretty on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// What to log, and how.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// A filter in the syntax of the `tracing-subscriber` crate, such as `info` or `warn,seedbed=debug`.
    pub level: String,
    /// How log lines look.
    pub format: LogFormat,
}

/// Logs go to standard error from here on; every span gets a W3C trace id.
///
/// # Errors
/// When `config.level` is not a filter; says why.
pub fn init(config: &LogConfig) -> Result<(), InvalidLogLevel> {
    let filter = EnvFilter::try_new(&config.level).map_err(|e| InvalidLogLevel {
        level: config.level.clone(),
        reason: e.to_string(),
    })?;
    // It writes messages that come back into its warnings, with the claims in them, and errors that are none: ours
    // say what matters.
    let filter = match config.level.contains("lapin") {
        true => filter,
        false => filter.add_directive("lapin=off".parse().expect("it is a directive")),
    };
    let json = match config.format {
        LogFormat::Auto => !std::io::stderr().is_terminal(),
        LogFormat::Pretty => false,
        LogFormat::Json => true,
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = if json {
        lines
            .json()
            .with_current_span(true)
            .with_span_list(false)
            .boxed()
    } else {
        lines
            .with_ansi(std::io::stderr().is_terminal())
            .compact()
            .boxed()
    };
    // No exporter: the provider is here to give every job a trace id that its messages, its log lines and
    // the catalog share.
    let tracer = SdkTracerProvider::builder().build().tracer("seedbed");
    let traces = tracing_opentelemetry::layer().with_tracer(tracer);
    // A second initialisation, as in tests, keeps the first.
    let _ = tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .with(traces)
        .try_init();
    Ok(())
}

/// The configured log level is not a filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("log.level {level:?} is not a log filter: {reason}")]
pub struct InvalidLogLevel {
    level: String,
    reason: String,
}
