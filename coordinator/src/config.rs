//! The settings: the commented default that is compiled in, below the user's file, below the environment.
//!
//! Types and names are checked by [`Settings::load`]; whether the values make sense is checked once, at the
//! start, by [`Settings::check_catalog`] and [`Settings::check_seeding`]. An error names the setting and
//! where it came from, and never shows a value that could be a secret.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use figment::{
    Figment, Metadata, Profile, Provider,
    error::{Actual, Kind},
    providers::{Format, Toml},
    value::{Dict, Map, Value},
};
use seedbed_protocol::telemetry::LogConfig;
use seedbed_worker::{
    config::{
        PowerSyncConfig, SchemaConfig, Secret, SnapshotsConfig, TokenAlgorithm, TokenConfig,
        WorkerConfig, WorkerSettings,
    },
    token::MAX_LIFETIME,
};
use serde::Deserialize;
use serde_json::Value as Json;
use url::Url;

use crate::template::{self, quoted};

/// The default of every setting, with its documentation.
pub const DEFAULTS: &str = include_str!("../seedbed.toml");

/// What every environment variable that is a setting begins with.
pub const ENV_PREFIX: &str = "SEEDBED_";

/// The environment variable that names the settings file.
pub const CONFIG_VARIABLE: &str = "SEEDBED_CONFIG";

const SECTION_SEPARATOR: &str = "__";

/// PowerSync's lowest stream priority.
const LAST_PRIORITY: u8 = 3;

/// All settings of the coordinator and of the worker that it runs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// `[source]`
    pub source: SourceConfig,
    /// `[powersync]`
    pub powersync: PowerSyncConfig,
    /// `[token]`
    pub token: TokenConfig,
    /// `[schema]`
    pub schema: SchemaConfig,
    /// `[sync]`
    pub sync: SyncConfig,
    /// `[parameters]`: sync parameters, as templates.
    pub parameters: serde_json::Map<String, Json>,
    /// `[[streams]]`
    #[serde(default)]
    pub streams: Vec<StreamConfig>,
    /// `[snapshots]`
    pub snapshots: SnapshotsConfig,
    /// `[catalog]`
    pub catalog: CatalogConfig,
    /// `[broker]`
    pub broker: BrokerConfig,
    /// `[worker]`
    pub worker: WorkerConfig,
    /// `[log]`
    pub log: LogConfig,
}

/// Where the list of stores comes from.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// A database to query, or `file:FILE`. Secret because of the password that it may contain.
    pub url: Option<Secret>,
    /// The query, for a database.
    pub query: Option<String>,
    /// The column with the store's id.
    pub store_id: String,
}

/// What is synced beside the explicit streams.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyncConfig {
    /// Whether the streams that the sync config subscribes every client to are synced as well.
    pub default_streams: bool,
}

/// An explicit subscription to a Sync Stream.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamConfig {
    /// Its name in the sync config.
    pub stream: String,
    /// Its parameters, as templates.
    pub parameters: Option<serde_json::Map<String, Json>>,
    /// Overrides its priority, 0 (first) to 3.
    pub priority: Option<u8>,
}

/// Where runs, jobs and snapshots are recorded.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogConfig {
    /// `sqlite:FILE`.
    pub url: String,
}

/// How jobs reach workers.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerConfig {
    /// `memory:`.
    pub url: String,
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
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

impl Settings {
    /// Reads the settings from `file` or, without one, from `./seedbed.toml` if that exists, and from the
    /// variables of this process.
    ///
    /// # Errors
    /// [`ConfigError`] names the first setting that is unknown or of the wrong type.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let beside = Path::new("seedbed.toml");
        let file = file.or_else(|| beside.exists().then_some(beside));
        let file = file.map(UserFile::read).transpose()?;
        Self::merge(file, unicode(std::env::vars_os())?)
    }

    fn merge(
        file: Option<UserFile>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut figment = Figment::from(Toml::string(DEFAULTS));
        if let Some(file) = file {
            figment = figment.merge(file);
        }
        for (name, value) in variables {
            if let Some(variable) = Variable::of(name, value) {
                figment = figment.merge(variable);
            }
        }
        // Lossy: what comes from the environment is text, also where a number is meant.
        figment.extract_lossy().map_err(explain)
    }

    /// Checks what every command needs: where the catalog is. Where the snapshots are is checked when they are
    /// opened.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] names the setting.
    pub fn check_catalog(&self) -> Result<(), ConfigError> {
        let place = |setting: &str, url: &str, scheme: &str, what: &str| {
            let rest = url.strip_prefix(scheme);
            match rest.map(|rest| rest.trim_start_matches("//")) {
                None => {
                    let shown = without_secrets(url);
                    invalid(setting, format!("is {shown}; it must be {scheme}{what}"))
                }
                Some("") if !what.is_empty() => {
                    invalid(setting, format!("lacks {what} after {scheme}"))
                }
                Some(_) => Ok(()),
            }
        };
        place("catalog.url", &self.catalog.url, "sqlite:", "FILE")?;
        place("broker.url", &self.broker.url, "memory:", "")
    }

    /// Checks everything that seeding needs.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] names the first setting that is missing or makes no sense.
    pub fn check_seeding(&self) -> Result<(), ConfigError> {
        self.check_catalog()?;
        check_endpoint(&self.powersync.endpoint)?;
        positive("powersync.connect_timeout", self.powersync.connect_timeout)?;
        positive("powersync.idle_timeout", self.powersync.idle_timeout)?;
        check_token(&self.token)?;
        positive("schema.subscription_ttl", self.schema.subscription_ttl)?;
        check_worker(&self.worker)?;
        if self.source.store_id.trim().is_empty() {
            return invalid(
                "source.store_id",
                "is empty; name the column with the store's id",
            );
        }
        self.check_templates()
    }

    fn check_templates(&self) -> Result<(), ConfigError> {
        for (name, value) in &self.parameters {
            template_of(&format!("parameters.{name}"), value)?;
        }
        template_of("token.subject", &Json::from(self.token.subject.as_str()))?;
        for (index, stream) in self.streams.iter().enumerate() {
            let setting = |name: &str| format!("streams.{index}.{name}");
            if stream.stream.trim().is_empty() {
                return invalid(
                    setting("stream"),
                    "is empty; name a stream of the sync config",
                );
            }
            if stream.priority.is_some_and(|p| p > LAST_PRIORITY) {
                return invalid(setting("priority"), "must be 0 (synced first) to 3");
            }
            for (name, value) in stream.parameters.iter().flatten() {
                template_of(&setting(&format!("parameters.{name}")), value)?;
            }
        }
        Ok(())
    }

    /// What the worker of this process needs to know.
    pub fn worker_settings(&self) -> WorkerSettings {
        WorkerSettings {
            powersync: self.powersync.clone(),
            token: self.token.clone(),
            schema: self.schema.clone(),
            snapshots: self.snapshots.clone(),
            worker: self.worker.clone(),
            log: self.log.clone(),
        }
    }
}

fn invalid(setting: impl Into<String>, problem: impl Into<String>) -> Result<(), ConfigError> {
    Err(ConfigError::Invalid {
        setting: setting.into(),
        problem: problem.into(),
    })
}

fn positive(setting: &str, duration: Duration) -> Result<(), ConfigError> {
    if duration.is_zero() {
        return invalid(setting, "must be longer than 0 s");
    }
    Ok(())
}

fn template_of(setting: &str, value: &Json) -> Result<(), ConfigError> {
    template::check(value).or_else(|e| invalid(setting, format!("is no template: {e}")))
}

/// What messages may show of a URL: its scheme, host and path. The rest may be a secret, and so may all of
/// what is malformed.
pub(crate) fn without_secrets(url: &str) -> String {
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

fn check_endpoint(endpoint: &str) -> Result<(), ConfigError> {
    let setting = "powersync.endpoint";
    if endpoint.is_empty() {
        return invalid(
            setting,
            "is missing; set it to the URL of your PowerSync service, in the settings file or as \
             SEEDBED_POWERSYNC__ENDPOINT",
        );
    }
    match Url::parse(endpoint) {
        Err(e) => invalid(setting, format!("is not a URL: {e}")),
        Ok(url) if !matches!(url.scheme(), "http" | "https") => {
            let shown = without_secrets(endpoint);
            invalid(
                setting,
                format!("is {shown}; it must begin with https:// or http://"),
            )
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => invalid(
            setting,
            "has a user name or a password in it, which PowerSync does not use; remove what is before \
             the @, since jobs sign in with [token]",
        ),
        Ok(_) => Ok(()),
    }
}

fn check_token(token: &TokenConfig) -> Result<(), ConfigError> {
    if token.algorithm == TokenAlgorithm::HS256 {
        check_secret(token)?;
    } else if token.key_file.is_none() {
        return invalid(
            "token.key_file",
            format!(
                "is missing; {:?} signs with a private key in a PEM file",
                token.algorithm
            ),
        );
    } else if token.secret.is_some() {
        return invalid(
            "token.secret",
            format!(
                "is only for HS256, but token.algorithm is {:?}; remove one of the two",
                token.algorithm
            ),
        );
    }
    positive("token.lifetime", token.lifetime)?;
    if token.lifetime > MAX_LIFETIME {
        let lifetime = humantime::format_duration(token.lifetime);
        return invalid(
            "token.lifetime",
            format!("is {lifetime}; at most 60m are allowed"),
        );
    }
    Ok(())
}

fn check_secret(token: &TokenConfig) -> Result<(), ConfigError> {
    if token.key_file.is_some() {
        return invalid(
            "token.key_file",
            "is not for HS256; set token.algorithm to the key's algorithm, or remove it",
        );
    }
    let Some(secret) = token.secret.as_ref().filter(|s| !s.expose().is_empty()) else {
        return invalid(
            "token.secret",
            "is missing; set it to the shared secret of your PowerSync service, in base64url, \
             best as SEEDBED_TOKEN__SECRET",
        );
    };
    let unpadded = secret.expose().trim_end_matches('=');
    if URL_SAFE_NO_PAD.decode(unpadded).is_err() {
        return invalid(
            "token.secret",
            "is not base64url (letters, digits, - and _); copy it as it is in the service's \
             configuration (the `k` of its key), or encode it with `basenc --base64url`",
        );
    }
    Ok(())
}

fn check_worker(worker: &WorkerConfig) -> Result<(), ConfigError> {
    if worker.slots == Some(0) {
        return invalid(
            "worker.slots",
            "is 0; with no slot, no job would ever start",
        );
    }
    if worker.cache_mib == 0 {
        return invalid("worker.cache_mib", "is 0; SQLite needs at least 1 MiB");
    }
    if worker.max_attempts == 0 {
        return invalid("worker.max_attempts", "is 0; a job needs at least one try");
    }
    if worker.backoff > worker.max_backoff {
        return invalid("worker.backoff", "is longer than worker.max_backoff");
    }
    positive("worker.job_timeout", worker.job_timeout)
}

/// The user's file. Parsed here first because the parser's own message would show the line, which may hold
/// a secret.
struct UserFile {
    path: PathBuf,
    text: String,
}

impl UserFile {
    fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let path = path.to_owned();
        if let Err(error) = toml::from_str::<toml::Table>(&text) {
            let start = error.span().map_or(0, |span| span.start);
            return Err(ConfigError::Syntax {
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
) -> Result<Vec<(String, String)>, ConfigError> {
    let ours = |name: &OsString| name.as_encoded_bytes().starts_with(ENV_PREFIX.as_bytes());
    variables
        .into_iter()
        .filter(|(name, _)| ours(name) && name != CONFIG_VARIABLE)
        .map(|(name, value)| {
            let not_unicode = |variable: String| ConfigError::NotUnicode { variable };
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
        if name == CONFIG_VARIABLE {
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
fn explain(error: figment::Error) -> ConfigError {
    let setting = match error.path[..] {
        [] => "the settings".to_owned(),
        _ => error.path.join("."),
    };
    let origin = error
        .metadata
        .as_ref()
        .map_or_else(|| "the settings".to_owned(), |m| m.name.to_string());
    let reason = match error.kind {
        Kind::UnknownField(name, allowed) => {
            // The path may or may not end with the field itself.
            let setting = match error.path.last() {
                Some(last) if *last == name => setting,
                Some(_) => format!("{setting}.{name}"),
                None => name.clone(),
            };
            let advice = advice(&name, allowed);
            return ConfigError::Unknown {
                setting,
                origin,
                advice,
            };
        }
        Kind::UnknownVariant(value, allowed) => {
            format!("{value:?} is not one of {}", quoted(allowed))
        }
        Kind::InvalidType(actual, expected) | Kind::InvalidValue(actual, expected) => {
            format!("expected {expected}, found {}", KindOf(&actual))
        }
        Kind::MissingField(name) => format!("{name} is missing"),
        Kind::ISizeOutOfRange(_) | Kind::USizeOutOfRange(_) => "the number is too large".to_owned(),
        Kind::Message(message) => message,
        _ => "a value of another type is expected".to_owned(),
    };
    ConfigError::Value {
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

    const GOOD: &str = r#"
        powersync.endpoint = "https://powersync.example.com"
        token.secret = "c2VjcmV0"
    "#;

    fn load(text: &str, variables: &[(&str, &str)]) -> Result<Settings, ConfigError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("my.toml");
        std::fs::write(&path, text).unwrap();
        let variables = variables
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        let settings = Settings::merge(Some(UserFile::read(&path)?), variables)?;
        settings.check_seeding()?;
        Ok(settings)
    }

    fn refused(text: &str, variables: &[(&str, &str)]) -> String {
        load(text, variables).unwrap_err().to_string()
    }

    #[test]
    fn the_defaults_need_only_an_endpoint_and_a_secret() {
        let settings = load(GOOD, &[]).unwrap();
        assert_eq!(settings.worker.max_attempts, 5);
        assert_eq!(settings.token.lifetime, Duration::from_secs(300));
        assert_eq!(settings.schema.subscription_ttl.as_secs(), 90 * 86_400);
        assert!(settings.streams.is_empty() && settings.parameters.is_empty());
    }

    #[test]
    fn a_variable_overrides_the_file_and_keeps_digits_as_text() {
        let settings = load(
            GOOD,
            &[
                ("SEEDBED_TOKEN__SECRET", "12345678"),
                ("SEEDBED_WORKER__SLOTS", "3"),
                ("SEEDBED_CONFIG", "my.toml"),
                ("PATH", "/bin"),
            ],
        )
        .unwrap();
        assert_eq!(settings.token.secret.unwrap().expose(), "12345678");
        assert_eq!(settings.worker.slots, Some(3));
    }

    #[test]
    fn a_variable_keeps_the_case_of_a_parameter() {
        let variables = [
            ("SEEDBED_PARAMETERS__storeRegion", "EU"),
            ("SEEDBED_PARAMETERS__Limits__MAX", "5"),
        ];
        let settings = load(GOOD, &variables).unwrap();
        assert_eq!(
            Json::from(settings.parameters),
            serde_json::json!({"storeRegion": "EU", "Limits": {"MAX": "5"}})
        );
    }

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
    fn streams_and_parameters_keep_their_json_types() {
        let text = format!(
            "{GOOD}\n[parameters]\nlimit = 5\nlive = true\n\
             [[streams]]\nstream = \"s\"\npriority = 1\nparameters = {{ store = \"{{{{id}}}}\", n = 1 }}\n"
        );
        let settings = load(&text, &[]).unwrap();
        assert_eq!(
            Json::from(settings.parameters),
            serde_json::json!({"limit": 5, "live": true})
        );
        let stream = &settings.streams[0];
        assert_eq!(stream.priority, Some(1));
        assert_eq!(
            Json::from(stream.parameters.clone().unwrap()),
            serde_json::json!({"n": 1, "store": "{{id}}"})
        );
    }

    #[test]
    fn a_misspelt_setting_is_named_with_its_file_and_the_nearest_name() {
        let error = refused(&format!("{GOOD}\nworker.slot = 3"), &[]);
        assert!(
            error.contains("worker.slot ") && error.contains("my.toml"),
            "{error}"
        );
        assert!(error.contains("did you mean slots?"), "{error}");
        let error = refused(&format!("{GOOD}\n[workr]\nslots = 3"), &[]);
        assert!(
            error.contains("workr") && error.contains("did you mean worker?"),
            "{error}"
        );
        let error = refused(
            &format!("{GOOD}\n[[streams]]\nstream = \"x\"\nprio = 1"),
            &[],
        );
        assert!(
            error.contains("streams") && error.contains("prio") && error.contains("priority"),
            "{error}"
        );
    }

    #[test]
    fn an_unknown_variable_is_named() {
        let error = refused(GOOD, &[("SEEDBED_TOKEN__SECRT", "x")]);
        assert!(error.contains("SEEDBED_TOKEN__SECRT"), "{error}");
        assert!(
            error.contains("token.secrt") && error.contains("did you mean secret?"),
            "{error}"
        );
        let error = refused(GOOD, &[("SEEDBED_SECRET", "hunter2")]);
        assert!(
            error.contains("SEEDBED_SECRET") && error.contains("powersync"),
            "{error}"
        );
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn a_secret_of_the_wrong_type_is_not_shown() {
        for secret in ["424242", "[\"424242\"]", "true", "{ a = \"424242\" }"] {
            let error = refused(&format!("token.secret = {secret}"), &[]);
            assert!(
                error.contains("token.secret") && error.contains("my.toml"),
                "{error}"
            );
            assert!(!error.contains("424242"), "{error}");
        }
        let error = refused("[token]\nsecret = \"424242", &[]);
        assert!(
            error.contains("line 2") && !error.contains("424242"),
            "{error}"
        );
        let error = refused(GOOD, &[("SEEDBED_TOKEN", "424242")]);
        assert!(
            error.contains("SEEDBED_TOKEN") && !error.contains("424242"),
            "{error}"
        );
        let shown = format!("{:?}", load(GOOD, &[]).unwrap());
        assert!(!shown.contains("c2VjcmV0"), "{shown}");
    }

    #[test]
    fn a_password_in_a_url_is_not_shown() {
        for (variable, value) in [
            ("SEEDBED_CATALOG__URL", "postgres://me:hunter2@db/c"),
            ("SEEDBED_CATALOG__URL", "postgres://me:hunter2/x@db/c"),
            ("SEEDBED_CATALOG__URL", "me:hunter2@db/c"),
            (
                "SEEDBED_BROKER__URL",
                "amqp://me:hunter2@mq:5672/?k=hunter2",
            ),
            ("SEEDBED_POWERSYNC__ENDPOINT", "https://me:hunter2@ps"),
            ("SEEDBED_POWERSYNC__ENDPOINT", "ftp://me:hunter2@ps"),
            ("SEEDBED_POWERSYNC__ENDPOINT", "https://me:hunter2@ps:port"),
        ] {
            let error = refused(GOOD, &[(variable, value)]);
            assert!(
                error.contains("url ") || error.contains("endpoint "),
                "{error}"
            );
            assert!(!error.contains("hunter2"), "{error}");
        }
        assert_eq!(
            without_secrets("amqp://me:hunter2@mq:5672/v?x=1"),
            "amqp://mq:5672/v"
        );
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (setting, value) in [
            ("powersync.endpoint", ""),
            ("powersync.endpoint", "powersync.example.com"),
            ("powersync.endpoint", "ftp://powersync.example.com"),
            ("powersync.idle_timeout", "soon"),
            ("powersync.compression", "brotli"),
            ("token.secret", ""),
            ("token.secret", "not base64url!"),
            ("token.key_file", "key.pem"),
            ("token.lifetime", "61m"),
            ("token.lifetime", "0s"),
            ("token.subject", "{{id"),
            ("worker.slots", "0"),
            ("worker.slots", "many"),
            ("worker.max_attempts", "0"),
            ("worker.backoff", "2h"),
            ("catalog.url", "mongodb://x"),
            ("catalog.url", "sqlite:"),
            ("snapshots.renditions", "brotli"),
            ("snapshots.renditions", "gzip,gzip"),
            ("snapshots.latest", "sometimes"),
            ("broker.url", "carrier-pigeon:"),
        ] {
            let variable = format!("SEEDBED_{}", setting.to_uppercase().replace('.', "__"));
            let error = refused(GOOD, &[(&variable, value)]);
            assert!(error.contains(setting), "{setting} = {value:?}: {error}");
        }
    }

    #[test]
    fn key_and_secret_must_fit_the_algorithm() {
        let error = refused(GOOD, &[("SEEDBED_TOKEN__ALGORITHM", "ES256")]);
        assert!(
            error.contains("token.key_file") && error.contains("ES256"),
            "{error}"
        );
        let variables = [
            ("SEEDBED_TOKEN__ALGORITHM", "ES256"),
            ("SEEDBED_TOKEN__KEY_FILE", "key.pem"),
        ];
        let error = refused(GOOD, &variables);
        assert!(error.contains("token.secret"), "{error}");
    }
}
