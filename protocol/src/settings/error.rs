//! Why the settings cannot be used.

use std::path::PathBuf;

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The settings file cannot be read.
    #[error("cannot read the settings file {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: std::io::Error,
    },
    /// The settings file is not TOML.
    #[error("{}, line {line}: {reason}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What the parser expected.
        reason: String,
    },
    /// A variable that would be a setting is not Unicode.
    #[error("the environment variable {variable} is not Unicode; set it to a text in UTF-8")]
    NotUnicode {
        /// Its name, as far as it can be shown.
        variable: String,
    },
    /// No setting of this name exists.
    #[error("unknown setting {setting} in {origin}; {advice}")]
    Unknown {
        /// Its full name.
        setting: String,
        /// The file or the variable.
        origin: String,
        /// The nearest name, or those that exist.
        advice: String,
    },
    /// The value has the wrong type or form.
    #[error("{setting} in {origin}: {reason}")]
    Value {
        /// The setting.
        setting: String,
        /// The file or the variable.
        origin: String,
        /// What is expected.
        reason: String,
    },
    /// The value makes no sense, or a required one is missing.
    #[error("{setting} {problem}")]
    Invalid {
        /// The setting.
        setting: String,
        /// What is wrong with it and what to do.
        problem: String,
    },
}

/// The error of a value that makes no sense.
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
