//! Reads the settings of one program into its own type.

mod effective;

use std::path::Path;

use serde::de::DeserializeOwned;

pub use self::effective::{Effective, effective};
use super::{
    error::SettingsError,
    explain::{check_names, explain, located},
    sources::{Sources, beside, retired_in, unicode},
};

/// Reads the settings from `file` or, without one, from `./seedbed.toml` if that exists, and from the variables of this
/// process.
///
/// # Errors
/// [`SettingsError`] names the first setting that is unknown or of the wrong type.
pub fn load<T: DeserializeOwned>(file: Option<&Path>) -> Result<T, SettingsError> {
    merge(beside(file), unicode(std::env::vars_os())?)
}

/// Reads the settings from `file` and from these variables only.
///
/// # Errors
/// As [`load`].
pub fn merge<T: DeserializeOwned>(
    file: Option<&Path>,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<T, SettingsError> {
    let sources = Sources::read(file, variables)?;
    check_names(&sources)?;
    // Lossy: values from the environment are text, also where a number is meant.
    let read = sources.figment.extract_lossy();
    read.map_err(|error| explain(&sources, error))
}

/// Adds to the error of a value that makes no sense what it is and where it was set, read as [`load`] reads it.
pub fn locate(file: Option<&Path>, error: SettingsError) -> SettingsError {
    match unicode(std::env::vars_os()) {
        Ok(variables) => locate_in(beside(file), variables, error),
        // They have changed since.
        Err(_) => error,
    }
}

/// As [`locate`], for what [`merge`] has read.
pub fn locate_in(
    file: Option<&Path>,
    variables: impl IntoIterator<Item = (String, String)>,
    error: SettingsError,
) -> SettingsError {
    match Sources::read(file, variables) {
        Ok(sources) => located(&sources, error),
        Err(_) => error,
    }
}

/// Returns a warning for each retired setting in `file` and in the variables of this process, read as [`load`] reads them.
///
/// # Errors
/// As [`load`].
pub fn warnings(file: Option<&Path>) -> Result<Vec<String>, SettingsError> {
    let found = retired_in(beside(file), unicode(std::env::vars_os())?)?;
    let warnings = found
        .iter()
        .map(|(retired, origin)| format!("{origin}: {retired}"));
    Ok(warnings.collect())
}
