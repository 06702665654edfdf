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

/// The longest time that is not for ever, a hundred years: the end of a longer one is in no calendar.
pub const LONGEST_DURATION: Duration = Duration::from_secs(36_500 * 86_400);

fn parsed<E: de::Error>(text: &str) -> Result<Duration, E> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration > LONGEST_DURATION => Err(E::custom(format!(
            "{text:?} is too long; at most 36500d are allowed"
        ))),
        Ok(duration) => Ok(duration),
        Err(e) => Err(E::custom(format!(
            "{text:?} is not a duration such as \"90s\" or \"5m\": {e}"
        ))),
    }
}

/// Reads a number that may have a fraction. A variable's comes as one of 32 bits, so 0.9 would be 0.8999999761581421.
///
/// # Errors
/// When it is no number.
pub fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    f64::deserialize(deserializer).map(as_written)
}

/// Reads a [`number`] that may be missing.
///
/// # Errors
/// As [`number`].
pub fn optional_number<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<f64>, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.map(as_written))
}

/// The number of 64 bits with the digits of one of 32 bits, if that is what it is.
fn as_written(number: f64) -> f64 {
    let short = number as f32;
    match f64::from(short) == number {
        true => short.to_string().parse().unwrap_or(number),
        false => number,
    }
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

#[cfg(test)]
mod tests {
    use super::as_written;

    #[test]
    fn a_number_of_32_bits_is_the_one_that_was_written() {
        for written in [0.9, 0.023, 0.5, 99.95, 3.0] {
            assert_eq!(as_written(f64::from(written as f32)), written);
            assert_eq!(as_written(written), written);
        }
        assert!(as_written(f64::NAN).is_nan());
        assert_eq!(as_written(1e300), 1e300);
    }
}
