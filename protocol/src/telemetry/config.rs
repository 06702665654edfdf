//! Which log lines are written, and how: `[log]` of the settings.

use serde::{Deserialize, Deserializer, de};
use tracing_subscriber::EnvFilter;

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

/// `[log]` of the settings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// A filter in the syntax of the `tracing-subscriber` crate, such as `info` or `warn,seedbed=debug`.
    #[serde(deserialize_with = "level")]
    pub level: String,
    pub format: LogFormat,
}

/// Reads a filter. A single word that is no level would be taken for the name of a crate, and hide everything else.
fn level<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let text = String::deserialize(deserializer)?;
    let is_level = |word: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word));
    let wrong = |reason: String| {
        de::Error::custom(format!(
            "{text:?} is not \"error\", \"warn\", \"info\", \"debug\", \"trace\", \"off\", or a filter such as \
             \"warn,seedbed=debug\"{reason}"
        ))
    };
    let is_unclear = |word: &&str| match word.split_once('=') {
        _ if word.contains('[') => false,
        Some((target, _)) => target.contains(char::is_whitespace),
        None => !is_level(word),
    };
    if let Some(word) = text.split(',').map(str::trim).find(is_unclear) {
        return Err(wrong(format!(
            ": {word:?} is neither a level nor a target with one"
        )));
    }
    match EnvFilter::try_new(&text) {
        Ok(_) => Ok(text),
        Err(error) => Err(wrong(format!(": {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_level_is_one_or_a_filter_with_levels() {
        let read = |level: &str| {
            serde_json::from_value::<LogConfig>(json!({ "level": level, "format": "auto" }))
        };
        for good in [
            "warn",
            "OFF",
            "warn,seedbed=debug",
            "warn,lapin=off",
            "[span]=trace",
        ] {
            assert_eq!(read(good).unwrap().level, good);
        }
        for bad in [
            "loud",
            "",
            "warn,seedbed",
            "seedbed=loud",
            "warn seedbed=debug",
        ] {
            let error = read(bad).unwrap_err().to_string();
            assert!(
                error.contains(bad) && error.contains("\"debug\""),
                "{error}"
            );
        }
    }
}
