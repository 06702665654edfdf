//! The settings that both programs read: the commented default that is compiled in, below the user's file,
//! below the environment.
//!
//! Types and names are checked while they are read; whether the values make sense is checked by whoever uses
//! them. An error names the setting and where it came from, and never shows a value that could be a secret.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use figment::{
    Figment, Metadata, Profile, Provider,
    error::{Actual, Kind},
    providers::{Format, Toml},
    value::{Dict, Map, Value},
};
use serde::{Deserialize, Deserializer, Serialize, de, de::DeserializeOwned};
use url::Url;

/// The default of every setting, with its documentation.
pub const DEFAULTS: &str = include_str!("../seedbed.toml");

/// What every environment variable that is a setting begins with.
pub const ENV_PREFIX: &str = "SEEDBED_";

/// The environment variable that names the settings file.
pub const CONFIG_VARIABLE: &str = "SEEDBED_CONFIG";

/// Every section of the settings file. A program reads those that it needs and ignores the others; a name that is not
/// here is an error in both programs.
pub const SECTIONS: [&str; 15] = [
    "source",
    "powersync",
    "token",
    "schema",
    "sync",
    "parameters",
    "streams",
    "snapshots",
    "catalog",
    "broker",
    "retention",
    "serve",
    "download",
    "worker",
    "log",
];

const DEFAULT_ORIGIN: &str = "the defaults";

const SECTION_SEPARATOR: &str = "__";

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

/// Reads the settings from `file` or, without one, from `./seedbed.toml` if that exists, and from the variables
/// of this process.
///
/// # Errors
/// [`SettingsError`] names the first setting that is unknown or of the wrong type.
pub fn load<T: DeserializeOwned>(file: Option<&Path>) -> Result<T, SettingsError> {
    merge(beside(file), unicode(std::env::vars_os())?)
}

/// `file`, else the one in the working directory, if there is one.
fn beside(file: Option<&Path>) -> Option<&Path> {
    let beside = Path::new("seedbed.toml");
    file.or_else(|| beside.exists().then_some(beside))
}

/// A setting as it is in effect.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Effective {
    /// Its full name.
    pub setting: String,
    /// Its value. Of secrets only that they are there, and of URLs no password.
    pub value: serde_json::Value,
    /// The file or the variable; `default` if nobody has set it.
    pub origin: String,
}

/// Every setting that has a value, read as [`load`] reads them.
///
/// # Errors
/// As [`load`], but whether a setting exists is not looked at.
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
            (name, Some(text)) if is_secret(name) && !text.is_empty() => "(secret)".into(),
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

/// Whether nobody may see the value. By the end of its name, so that a new one is not forgotten.
fn is_secret(name: &str) -> bool {
    name.ends_with("secret") || name.ends_with("admin_token")
}

/// Whether the value may have a password in it.
fn is_url(name: &str) -> bool {
    name.ends_with("url") || name.ends_with("endpoint")
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
    // Lossy: what comes from the environment is text, also where a number is meant.
    figment.extract_lossy().map_err(explain)
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

fn origin(metadata: Option<&Metadata>) -> String {
    metadata.map_or_else(|| "the settings".to_owned(), |m| m.name.to_string())
}

fn sources(
    file: Option<&Path>,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<Figment, SettingsError> {
    let mut figment = Figment::from(Defaults);
    if let Some(file) = file {
        figment = figment.merge(UserFile::read(file)?);
    }
    for (name, value) in variables {
        if let Some(variable) = Variable::of(name, value) {
            figment = figment.merge(variable);
        }
    }
    Ok(figment)
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

/// Checks a time that must not be zero.
///
/// # Errors
/// [`SettingsError::Invalid`] when it is.
pub fn positive(setting: &str, duration: Duration) -> Result<(), SettingsError> {
    if duration.is_zero() {
        return invalid(setting, "must be longer than 0 s");
    }
    Ok(())
}

/// What messages may show of a URL: its scheme, host and path. The rest may be a secret, and so may all of
/// what is malformed.
pub fn without_secrets(url: &str) -> String {
    match Url::parse(url) {
        Ok(url) if url.has_host() && !url.path().contains('@') => {
            let (scheme, path) = (url.scheme(), url.path());
            let host = url.host_str().unwrap_or_default();
            let port = url.port().map(|port| format!(":{port}"));
            format!("{scheme}://{host}{}{path}", port.unwrap_or_default())
        }
        Ok(url) => format!("{}:…", url.scheme()),
        Err(_) => "not a URL".to_owned(),
    }
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// A secret with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text. Keep it out of logs, errors and messages.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Reads a secret that may be left out; an empty one counts as that.
///
/// # Errors
/// When it is no text.
pub fn optional_secret<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Secret>, D::Error> {
    let secret = Option::<Secret>::deserialize(deserializer)?;
    Ok(secret.filter(|secret| !secret.expose().is_empty()))
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

/// Reads a list of texts, or as environment variables have it, texts with commas between them.
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

/// [`DEFAULTS`], under a name of their own.
struct Defaults;

impl Provider for Defaults {
    fn metadata(&self) -> Metadata {
        Metadata::named(DEFAULT_ORIGIN)
    }

    fn data(&self) -> figment::error::Result<Map<Profile, Dict>> {
        Toml::string(DEFAULTS).data()
    }
}

/// The user's file. Parsed here first because the parser's own message would show the line, which may hold
/// a secret.
struct UserFile {
    path: PathBuf,
    text: String,
}

impl UserFile {
    fn read(path: &Path) -> Result<Self, SettingsError> {
        let text = std::fs::read_to_string(path).map_err(|source| SettingsError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let path = path.to_owned();
        if let Err(error) = toml::from_str::<toml::Table>(&text) {
            let start = error.span().map_or(0, |span| span.start);
            return Err(SettingsError::Syntax {
                line: 1 + text.bytes().take(start).filter(|&b| b == b'\n').count(),
                reason: error.message().to_owned(),
                path,
            });
        }
        Ok(Self { path, text })
    }
}

impl Provider for UserFile {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.path.display().to_string())
    }

    fn data(&self) -> figment::error::Result<Map<Profile, Dict>> {
        Toml::string(&self.text).data()
    }
}

/// The variables that could be settings.
fn unicode(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Vec<(String, String)>, SettingsError> {
    let ours = |name: &OsString| name.as_encoded_bytes().starts_with(ENV_PREFIX.as_bytes());
    variables
        .into_iter()
        .filter(|(name, _)| ours(name) && name != CONFIG_VARIABLE)
        .map(|(name, value)| {
            let not_unicode = |variable: String| SettingsError::NotUnicode { variable };
            let name = name
                .into_string()
                .map_err(|name| not_unicode(name.to_string_lossy().into_owned()))?;
            match value.into_string() {
                Ok(value) => Ok((name, value)),
                Err(_) => Err(not_unicode(name)),
            }
        })
        .collect()
}

/// One environment variable that is a setting. Its value stays text: a secret of digits is not a number.
struct Variable {
    name: String,
    setting: String,
    value: String,
}

impl Variable {
    fn of(name: String, value: String) -> Option<Self> {
        let setting = name.strip_prefix(ENV_PREFIX)?;
        if name == CONFIG_VARIABLE || is_of_kubernetes(&name) {
            return None;
        }
        let setting = match setting.split_once(SECTION_SEPARATOR) {
            // Sync parameters are named by the app, in whatever case.
            Some((section, parameter)) if section.eq_ignore_ascii_case("parameters") => {
                format!("parameters.{}", parameter.replace(SECTION_SEPARATOR, "."))
            }
            _ => setting.to_lowercase().replace(SECTION_SEPARATOR, "."),
        };
        Some(Self {
            name,
            setting,
            value,
        })
    }
}

/// Whether Kubernetes sets a variable of this name in every pod beside a Service that is called seedbed, or
/// seedbed-something
/// (<https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>).
fn is_of_kubernetes(name: &str) -> bool {
    let of_service = ["_SERVICE_HOST", "_SERVICE_PORT", "_PORT"];
    let of_port = ["_SERVICE_PORT_", "_PORT_"];
    !name.contains(SECTION_SEPARATOR)
        && (of_service.iter().any(|end| name.ends_with(end))
            || of_port.iter().any(|part| name.contains(part)))
}

impl Provider for Variable {
    fn metadata(&self) -> Metadata {
        Metadata::named(format!("the environment variable {}", self.name))
    }

    fn data(&self) -> figment::error::Result<Map<Profile, Dict>> {
        let nested = figment::util::nest(&self.setting, Value::from(self.value.as_str()));
        let dict = nested.into_dict().unwrap_or_default();
        Ok(BTreeMap::from([(Profile::Default, dict)]))
    }
}

/// Says what is wrong without the value, which may be a secret.
fn explain(error: figment::Error) -> SettingsError {
    let setting = match error.path[..] {
        [] => "the settings".to_owned(),
        _ => error.path.join("."),
    };
    let origin = origin(error.metadata.as_ref());
    let reason = match error.kind {
        Kind::UnknownField(name, allowed) => {
            // The path may or may not end with the field itself.
            let setting = match error.path.last() {
                Some(last) if *last == name => setting,
                Some(_) => format!("{setting}.{name}"),
                None => name.clone(),
            };
            let advice = advice(&name, allowed);
            return SettingsError::Unknown {
                setting,
                origin,
                advice,
            };
        }
        Kind::UnknownVariant(value, allowed) => {
            format!("{value:?} is not one of {}", allowed.join(", "))
        }
        Kind::InvalidType(actual, expected) | Kind::InvalidValue(actual, expected) => {
            format!("expected {expected}, found {}", KindOf(&actual))
        }
        Kind::MissingField(name) => format!("{name} is missing"),
        Kind::ISizeOutOfRange(_) | Kind::USizeOutOfRange(_) => "the number is too large".to_owned(),
        Kind::Message(message) => message,
        _ => "a value of another type is expected".to_owned(),
    };
    SettingsError::Value {
        setting,
        origin,
        reason,
    }
}

fn advice(name: &str, allowed: &[&str]) -> String {
    let nearest = allowed.iter().min_by_key(|other| edits(name, other));
    match nearest {
        Some(nearest) if edits(name, nearest) <= 2 => format!("did you mean {nearest}?"),
        _ => format!("there are {}", allowed.join(", ")),
    }
}

/// The Levenshtein distance: letters to insert, remove or replace.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_is_not_unicode_is_named() {
        use std::os::unix::ffi::OsStringExt;
        let broken = || OsString::from_vec(b"hunter2\xff".to_vec());
        let error = unicode([("SEEDBED_TOKEN__SECRET".into(), broken())]).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("SEEDBED_TOKEN__SECRET") && !error.contains("hunter2"),
            "{error}"
        );
        let others = [
            ("PATH".into(), broken()),
            (CONFIG_VARIABLE.into(), broken()),
        ];
        assert!(unicode(others).unwrap().is_empty());
    }

    #[test]
    fn every_section_is_documented_and_every_documented_one_is_known() {
        let documented = DEFAULTS.lines().filter_map(|line| {
            let name = line.trim_start_matches("# ").trim_start_matches('[');
            let name = name.trim_end_matches(']');
            line.ends_with(']')
                .then_some(name)
                .filter(|_| line.starts_with('[') || line.starts_with("# [["))
        });
        assert_eq!(documented.collect::<Vec<_>>(), SECTIONS);
    }

    #[test]
    fn what_kubernetes_says_about_a_service_is_no_setting() {
        for name in [
            "SEEDBED_SERVICE_HOST",
            "SEEDBED_SERVICE_PORT",
            "SEEDBED_SERVICE_PORT_HTTP",
            "SEEDBED_PORT",
            "SEEDBED_API_PORT_80_TCP_ADDR",
        ] {
            assert!(Variable::of(name.to_owned(), "x".to_owned()).is_none());
        }
        for name in ["SEEDBED_TOKEN__SECRET", "SEEDBED_SECRET"] {
            assert!(Variable::of(name.to_owned(), "x".to_owned()).is_some());
        }
    }

    #[test]
    fn what_a_message_shows_of_a_url_has_no_secret() {
        assert_eq!(
            without_secrets("amqp://me:hunter2@mq:5672/v?x=1"),
            "amqp://mq:5672/v"
        );
    }
}
