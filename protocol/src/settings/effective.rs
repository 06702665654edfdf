//! Lists every setting with the value that is in effect and where it came from.

use std::path::Path;

use figment::{Figment, value::Value};
use serde::Serialize;

use super::{
    error::SettingsError,
    explain::explain,
    secret::{is_secret, is_url, without_secrets},
    sources::{DEFAULT_ORIGIN, beside, sources, unicode},
};

/// A setting with the value that is in effect.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Effective {
    pub setting: String,
    /// The value: of a secret only that it is set, of a URL no password.
    pub value: serde_json::Value,
    /// The file or the variable that set it, or `default`.
    pub origin: String,
}

/// Returns every setting that has a value, read as [`load`](super::load::load) reads them.
///
/// # Errors
/// As [`load`](super::load::load), except that unknown settings are no error.
pub fn effective(file: Option<&Path>) -> Result<Vec<Effective>, SettingsError> {
    let figment = sources(beside(file), unicode(std::env::vars_os())?)?;
    let all: Value = figment.extract().map_err(explain)?;
    let mut settings = Vec::new();
    list_effective(&figment, String::new(), &all, &mut settings);
    Ok(settings)
}

fn list_effective(figment: &Figment, name: String, value: &Value, into: &mut Vec<Effective>) {
    if let Value::Dict(_, entries) = value {
        for (key, value) in entries {
            let separator = if name.is_empty() { "" } else { "." };
            list_effective(figment, format!("{name}{separator}{key}"), value, into);
        }
        return;
    }
    let origin = figment.find_metadata(&name).map(|m| m.name.to_string());
    let shown = serde_json::to_value(value).unwrap_or_default();
    into.push(Effective {
        value: match (&name, shown.as_str()) {
            (name, text) if is_secret(name) && text != Some("") => "(secret)".into(),
            (name, Some(text)) if is_url(name) && text.contains("://") => {
                without_secrets(text).into()
            }
            _ => shown,
        },
        origin: origin
            .filter(|origin| origin != DEFAULT_ORIGIN)
            .unwrap_or_else(|| "default".to_owned()),
        setting: name,
    });
}
