//! Why the settings cannot be used.

use std::path::PathBuf;

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("cannot read the settings file {}: {source}", path.display())]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{}, line {line}: {reason}", path.display())]
    Syntax {
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        reason: String,
    },
    #[error("the environment variable {variable} is not Unicode; set it to a text in UTF-8")]
    NotUnicode {
        /// Its name, as far as it can be shown.
        variable: String,
    },
    #[error("unknown setting {setting} in {origin}; {advice}")]
    Unknown {
        setting: String,
        origin: String,
        /// The nearest name, or those that exist.
        advice: String,
    },
    /// The value has the wrong type or form.
    #[error("{setting}{} in {origin}: {reason}", value.as_ref().map_or_else(String::new, |value| format!(" = {value}")))]
    Value {
        setting: String,
        /// The value; `None` if it may be a secret.
        value: Option<String>,
        origin: String,
        reason: String,
    },
    /// The value makes no sense, or is missing.
    #[error("{setting} {problem}")]
    Invalid { setting: String, problem: String },
}

/// Refuses a value that makes no sense.
///
/// # Errors
/// Always: [`SettingsError::Invalid`].
pub fn invalid(
    setting: impl Into<String>,
    problem: impl Into<String>,
) -> Result<(), SettingsError> {
    Err(SettingsError::Invalid {
        setting: setting.into(),
        problem: problem.into(),
    })
}
