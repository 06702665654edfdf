//! Values that TOML and environment variables write as text: durations and lists.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use super::error::{SettingsError, invalid};

/// Refuses a time of zero.
///
/// # Errors
/// [`SettingsError::Invalid`] when it is.
pub fn positive(setting: &str, duration: Duration) -> Result<(), SettingsError> {
    if duration.is_zero() {
        return invalid(setting, "must be longer than 0 s");
    }
    Ok(())
}

/// Reads a [`duration`] that may be missing.
///
/// # Errors
/// As [`duration`].
pub fn optional_duration<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    duration(deserializer).map(Some)
}

/// Reads `"90s"`, `"5m"` or `"1h 30m"`.
///
/// # Errors
/// When the text is not a duration; shows it.
pub fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text).map_err(|e| {
        de::Error::custom(format!(
            "{text:?} is not a duration such as \"90s\" or \"5m\": {e}"
        ))
    })
}

/// Reads a list of texts, or a text with commas between them, as in environment variables.
///
/// # Errors
/// When it is neither.
pub fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Names {
        List(Vec<String>),
        Text(String),
    }
    Ok(match Names::deserialize(deserializer)? {
        Names::List(names) => names,
        Names::Text(text) => {
            let names = text.split(',').map(|name| name.trim().to_owned());
            names.filter(|name| !name.is_empty()).collect()
        }
    })
}
