//! Says what is wrong with a setting: its name, its value unless that may be a secret, where it was set, and what is
//! allowed.

use std::fmt;

use figment::{
    error::{Actual, Kind as Problem},
    value::{Dict, Value},
};

use super::{
    defaults::SECTIONS,
    error::SettingsError,
    known::{Kind, Known, advice, find, known},
    secret::{is_url, without_secrets},
    sources::{ENV_PREFIX, Sources, variable_name},
};

/// The longest value that an error shows, in characters.
const SHOWN_CHARS: usize = 80;

/// Returns all values as they were merged.
pub(super) fn extracted(sources: &Sources) -> Result<Value, SettingsError> {
    let all = sources.figment.extract();
    all.map_err(|error| explain(sources, error))
}

/// Refuses the first section and the first setting that neither program knows.
pub(super) fn check_names(sources: &Sources) -> Result<(), SettingsError> {
    let Value::Dict(_, sections) = extracted(sources)? else {
        return Ok(());
    };
    for (section, value) in &sections {
        if !SECTIONS.contains(&section.as_str()) {
            return Err(unknown(sources, section, value));
        }
        if section == "parameters" {
            continue;
        }
        match value {
            Value::Dict(_, settings) => check_section(sources, section, settings)?,
            Value::Array(_, tables) => {
                for settings in tables.iter().filter_map(Value::as_dict) {
                    check_section(sources, section, settings)?;
                }
            }
            // Reading it says what is wrong.
            _ => {}
        }
    }
    Ok(())
}

fn check_section(sources: &Sources, section: &str, settings: &Dict) -> Result<(), SettingsError> {
    for (name, value) in settings {
        let setting = format!("{section}.{name}");
        if find(&setting).is_none() {
            return Err(unknown(sources, &setting, value));
        }
    }
    Ok(())
}

/// The error of a name that nobody knows. Its value may be a misspelt secret.
fn unknown(sources: &Sources, setting: &str, value: &Value) -> SettingsError {
    let origin = origin(sources, value, setting);
    let is_variable = origin.contains(ENV_PREFIX);
    let mut names: Vec<String> = known().iter().map(Known::full_name).collect();
    let section = setting.split_once('.').map(|(section, _)| section);
    let in_section = known().iter().filter(|k| Some(k.section) == section);
    let mut otherwise: Vec<&str> = in_section.map(|known| known.name).collect();
    if section.is_none() {
        names.extend(SECTIONS.map(str::to_owned));
        otherwise = SECTIONS.to_vec();
    }
    let shown = |name: &str| match name.split_once('.') {
        Some((section, name)) if is_variable => variable_name(section, name),
        _ => name.to_owned(),
    };
    SettingsError::Unknown {
        advice: advice(setting, &names, &otherwise, shown),
        setting: setting.to_owned(),
        origin,
    }
}

fn origin(sources: &Sources, value: &Value, setting: &str) -> String {
    let origin = sources.origin_of(value.tag(), setting);
    origin.unwrap_or_else(|| "the defaults".to_owned())
}

/// Says what is wrong with a value that could not be read.
pub(super) fn explain(sources: &Sources, error: figment::Error) -> SettingsError {
    let setting = match error.path[..] {
        [] => "the settings".to_owned(),
        _ => error.path.join("."),
    };
    let value = sources.value_of(&setting);
    let known = setting_of(&setting);
    let must_be = |found: &str| match known {
        Some(known) => format!("it must be {}{found}", known.allowed()),
        None => format!("it must be a table of settings{found}"),
    };
    let reason = match error.kind {
        Problem::InvalidType(actual, _) => must_be(&format!(", and is {}", KindOf(&actual))),
        Problem::InvalidValue(Actual::Unsigned(_) | Actual::Signed(_), expected) => {
            format!("it must be {}", range(&expected.to_string()))
        }
        Problem::InvalidValue(_, expected) => must_be(&format!(" ({expected})")),
        Problem::MissingField(name) => format!("{name} is missing"),
        Problem::ISizeOutOfRange(_) | Problem::USizeOutOfRange(_) => must_be(""),
        Problem::Message(message) if known.is_some_and(|known| known.kind == Kind::Address) => {
            must_be(&format!(" ({message})"))
        }
        // The parser quotes the whole URL, with its password.
        Problem::Message(message) if is_url(&setting) => {
            let (what, _) = message.split_once(": \"").unwrap_or((&message, ""));
            must_be(&format!(" ({what})"))
        }
        Problem::Message(message) => message,
        _ => must_be(""),
    };
    SettingsError::Value {
        value: value.as_ref().and_then(|value| shown(&setting, value)),
        origin: match value {
            Some(value) => origin(sources, &value, &setting),
            None => error.metadata.map_or_else(
                || "the settings".to_owned(),
                |metadata| metadata.name.to_string(),
            ),
        },
        setting,
        reason,
    }
}

/// Adds value and origin to an error of [`invalid`](super::error::invalid).
pub(super) fn located(sources: &Sources, error: SettingsError) -> SettingsError {
    let SettingsError::Invalid { setting, problem } = error else {
        return error;
    };
    let value = sources.value_of(&setting);
    let Some(origin) = value
        .as_ref()
        .and_then(|value| sources.origin_of(value.tag(), &setting))
    else {
        return SettingsError::Invalid { setting, problem };
    };
    let value = value.and_then(|value| shown(&setting, &value));
    let value = value.map_or_else(String::new, |value| format!("to {value} "));
    SettingsError::Invalid {
        problem: format!("{problem} (set {value}in {origin})"),
        setting,
    }
}

/// The setting of a path, which has an index in a list of tables.
fn setting_of(path: &str) -> Option<&'static Known> {
    let parts: Vec<&str> = path.split('.').collect();
    match parts[..] {
        [section, index, name, ..] if index.parse::<usize>().is_ok() => {
            find(&format!("{section}.{name}"))
        }
        [section, name, ..] => find(&format!("{section}.{name}")),
        _ => None,
    }
}

/// Returns a value as a person may see it: of a secret only that it is set, of a URL no password.
pub(super) fn masked(setting: &str, value: &Value) -> serde_json::Value {
    let json = serde_json::to_value(value).unwrap_or_default();
    let is_secret = setting_of(setting).is_some_and(|known| known.kind == Kind::Secret);
    let is_set = !["".into(), serde_json::json!([])].contains(&json);
    match json.as_str() {
        // Several keys are as secret as one.
        _ if is_secret && is_set => "(secret)".into(),
        Some(text) if is_url(setting) && text.contains("://") => without_secrets(text).into(),
        _ => json,
    }
}

/// Returns the value as an error shows it; `None` for what may be a secret.
fn shown(setting: &str, value: &Value) -> Option<String> {
    let known = setting_of(setting)?;
    // What is malformed may be all password.
    let may_be_password = ["source.url", "catalog.url", "broker.url"].contains(&setting);
    let text = masked(setting, value).to_string();
    let has_parts = (is_url(setting) || text.contains("://")) && text.contains(['@', '?']);
    if known.kind == Kind::Secret || may_be_password || has_parts {
        return None;
    }
    Some(match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    })
}

/// What serde's name of an integer allows.
fn range(expected: &str) -> String {
    let largest = match expected {
        "u8" => u64::from(u8::MAX),
        "u16" => u64::from(u16::MAX),
        "u32" => u64::from(u32::MAX),
        "u64" => u64::MAX,
        other => return other.to_owned(),
    };
    format!("a whole number, not negative and at most {largest}")
}

/// The kind of a value, without the value.
struct KindOf<'a>(&'a Actual);

impl fmt::Display for KindOf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Actual::Bool(_) => "true or false",
            Actual::Unsigned(_) | Actual::Signed(_) => "a whole number",
            Actual::Float(_) => "a number",
            Actual::Char(_) | Actual::Str(_) => "a text",
            Actual::Seq => "a list",
            Actual::Map => "a table",
            _ => "something else",
        })
    }
}
