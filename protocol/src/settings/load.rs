//! Reads the settings of one program into its own type.

use std::path::Path;

use figment::{Figment, value::Dict};
use serde::de::DeserializeOwned;

use super::{
    defaults::SECTIONS,
    error::SettingsError,
    explain::{advice, explain, origin},
    sources::{beside, retired_in, sources, unicode},
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
    let figment = sources(file, variables)?;
    check_sections(&figment)?;
    // Lossy: values from the environment are text, also where a number is meant.
    figment.extract_lossy().map_err(explain)
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

/// Refuses a section that neither program knows.
fn check_sections(figment: &Figment) -> Result<(), SettingsError> {
    let sections: Dict = figment.extract().map_err(explain)?;
    let unknown = |name: &String| !SECTIONS.contains(&name.as_str());
    let Some(setting) = sections.into_keys().find(unknown) else {
        return Ok(());
    };
    let metadata = figment.find_metadata(&setting);
    Err(SettingsError::Unknown {
        origin: origin(metadata),
        advice: advice(&setting, &SECTIONS),
        setting,
    })
}
