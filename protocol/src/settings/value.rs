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
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| parsed(&text)).transpose()
}

/// Reads `"90s"`, `"5m"` or `"1h 30m"`.
///
/// # Errors
/// When the text is not a duration; shows it.
pub fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    parsed(&String::deserialize(deserializer)?)
}

fn parsed<E: de::Error>(text: &str) -> Result<Duration, E> {
    humantime::parse_duration(text).map_err(|e| {
        E::custom(format!(
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
    let names = Names::deserialize(deserializer);
    // serde's own message names the variants of this enum.
    let names = names.map_err(|_| de::Error::custom("it must be a list of texts"))?;
    Ok(match names {
        Names::List(names) => names,
        Names::Text(text) => {
            let names = text.split(',').map(|name| name.trim().to_owned());
            names.filter(|name| !name.is_empty()).collect()
        }
    })
}
