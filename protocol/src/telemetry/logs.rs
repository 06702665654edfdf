//! Log lines on standard error: which are written, and in which form.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, Layer, fmt::format::JsonFields};

use super::{
    config::{LogConfig, LogFormat},
    error::TelemetryError,
    lines::{JsonLines, visible_fields},
};

pub(super) fn log_filter(log: &LogConfig) -> Result<EnvFilter, TelemetryError> {
    let mut filter = EnvFilter::try_new(&log.level).map_err(|e| TelemetryError::LogLevel {
        level: log.level.clone(),
        reason: e.to_string(),
    })?;
    // Postgres remarks on each connection that the table of migrations exists.
    const NOTICES: &str = "sqlx::postgres::notice";
    if !log.level.contains("sqlx") && log.level.contains("info") {
        let quiet = format!("{NOTICES}=warn");
        filter = filter.add_directive(quiet.parse().expect("it is a directive"));
    }
    // lapin writes returned messages into its warnings, with the claims in them, and reports errors that are none;
    // OpenTelemetry repeats its warning for as long as a collector is down. Seedbed's own lines say what matters.
    for noisy in ["lapin", "opentelemetry"] {
        if !log.level.contains(noisy) {
            let off = format!("{noisy}=off");
            filter = filter.add_directive(off.parse().expect("it is a directive"));
        }
    }
    Ok(filter)
}

pub(super) fn log_lines<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'span> tracing_subscriber::registry::LookupSpan<'span>,
{
    let is_terminal = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match format {
        LogFormat::Auto if is_terminal => lines.fmt_fields(visible_fields()).compact().boxed(),
        LogFormat::Pretty => lines
            .fmt_fields(visible_fields())
            .with_ansi(is_terminal)
            .compact()
            .boxed(),
        LogFormat::Auto | LogFormat::Json => lines
            .fmt_fields(JsonFields::new())
            .event_format(JsonLines)
            .boxed(),
    }
}
