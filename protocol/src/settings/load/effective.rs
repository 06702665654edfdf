//! Lists every setting with the value that is in effect and where it came from.

use std::path::Path;

use figment::value::Value;
use serde::Serialize;

use crate::settings::{
    error::SettingsError,
    explain::{extracted, masked},
    sources::{Sources, beside, unicode},
};

/// A setting with the value that is in effect.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Effective {
    pub setting: String,
    /// The value: of a secret only that it is set, of a URL no password; null if a variable or the file unsets it.
    pub value: serde_json::Value,
    /// The file with its line, or the variable that set it, or `default`.
    pub origin: String,
}

/// Returns every setting that has a value, read as [`load`](fn@crate::settings::load) reads them.
///
/// # Errors
/// As [`load`](fn@crate::settings::load), except that a value may be wrong.
pub fn effective(file: Option<&Path>) -> Result<Vec<Effective>, SettingsError> {
    let sources = Sources::read(beside(file), unicode(std::env::vars_os())?)?;
    let all = extracted(&sources)?;
    let mut settings = Vec::new();
    list_effective(&sources, String::new(), &all, &mut settings);
    Ok(settings)
}

fn list_effective(sources: &Sources, name: String, value: &Value, into: &mut Vec<Effective>) {
    if let Value::Dict(_, entries) = value {
        for (key, value) in entries {
            let separator = if name.is_empty() { "" } else { "." };
            list_effective(sources, format!("{name}{separator}{key}"), value, into);
        }
        return;
    }
    into.push(Effective {
        value: masked(&name, value),
        origin: sources
            .origin_of(value.tag(), &name)
            .unwrap_or_else(|| "default".to_owned()),
        setting: name,
    });
}
