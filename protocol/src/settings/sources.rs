//! Where settings come from, lowest first: the defaults, the settings file, the environment.

mod lines;
mod retired;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
};

use figment::{
    Figment, Metadata, Profile, Provider,
    providers::{Format, Toml},
    value::{Dict, Empty, Map, Tag, Value},
};

use self::lines::{line_at, line_of};
pub use self::retired::{RETIRED, Retired};
use super::{
    defaults::DEFAULTS,
    error::SettingsError,
    known::{find, known},
};

/// The prefix of every environment variable that is a setting.
pub const ENV_PREFIX: &str = "SEEDBED_";

/// The environment variable that names the settings file.
pub const CONFIG_VARIABLE: &str = "SEEDBED_CONFIG";

const DEFAULT_ORIGIN: &str = "the defaults";

const SECTION_SEPARATOR: &str = "__";

/// Returns `file`, else the one in the working directory, if there is one.
pub(super) fn beside(file: Option<&Path>) -> Option<&Path> {
    let beside = Path::new("seedbed.toml");
    file.or_else(|| beside.exists().then_some(beside))
}

/// All that was read, merged, and what is needed to say where a value came from.
pub(super) struct Sources {
    pub(super) figment: Figment,
    file: Option<UserFile>,
}

impl Sources {
    /// Reads the file and the variables above the defaults.
    pub(super) fn read(
        file: Option<&Path>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, SettingsError> {
        let mut figment = Figment::from(Defaults);
        let file = file.map(UserFile::read).transpose()?;
        if let Some(file) = &file {
            figment = figment.merge(file);
        }
        for (name, value) in variables {
            if let Some(variable) = Variable::of(name, value) {
                figment = figment.merge(variable);
            }
        }
        Ok(Self { figment, file })
    }

    /// Returns the value of a setting, or of an entry of a list in it.
    pub(super) fn value_of(&self, setting: &str) -> Option<Value> {
        let (section, rest) = match setting.split_once('.') {
            Some((section, rest)) => (section, rest.split('.').collect()),
            None => (setting, Vec::new()),
        };
        let mut value = self.figment.find_value(section).ok()?;
        for part in rest {
            value = match value {
                Value::Dict(_, mut entries) => entries.remove(part)?,
                Value::Array(_, items) => items.into_iter().nth(part.parse().ok()?)?,
                _ => return None,
            };
        }
        Some(value)
    }

    /// Returns the file with the line, or the variable, that a value came from; `None` for a default.
    pub(super) fn origin_of(&self, tag: Tag, setting: &str) -> Option<String> {
        let name = &self.figment.get_metadata(tag)?.name;
        if name == DEFAULT_ORIGIN {
            return None;
        }
        let file = self.file.as_ref().filter(|file| file.name() == *name);
        let line = file.and_then(|file| line_of(&file.text, setting.split('.')));
        Some(match line {
            Some(line) => format!("{name}, line {line}"),
            None => name.to_string(),
        })
    }
}

/// Returns the retired settings in the file and the variables, each with where it is set.
pub(super) fn retired_in(
    file: Option<&Path>,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<Vec<(&'static Retired, String)>, SettingsError> {
    let mut found = Vec::new();
    if let Some(file) = file {
        let mut settings = Toml::string(&UserFile::read(file)?.text).data();
        for settings in settings.iter_mut().flat_map(Map::values_mut) {
            let origin = file.display().to_string();
            found.extend(
                retired::replace(settings)
                    .into_iter()
                    .map(|r| (r, origin.clone())),
            );
        }
    }
    for variable in variables
        .into_iter()
        .filter_map(|(n, v)| Variable::of(n, v))
    {
        let replaced = retired::replace(&mut variable.dict()).into_iter();
        found.extend(replaced.map(|r| (r, variable.metadata().name.to_string())));
    }
    Ok(found)
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

/// The user's file. Parsed here first because the parser's own message would show the line, which may hold a secret.
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
            let line = line_at(&text, error.span().map_or(0, |span| span.start));
            return Err(SettingsError::Syntax {
                line,
                reason: not_parsed(error.message(), &text, line),
                path,
            });
        }
        Ok(Self { path, text })
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }
}

impl Provider for &UserFile {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name())
    }

    fn data(&self) -> figment::error::Result<Map<Profile, Dict>> {
        Ok(without_empty(retired::replaced(
            Toml::string(&self.text).data()?,
        )))
    }
}

/// What is wrong with a line, with the setting that it is about, if it is one.
fn not_parsed(message: &str, text: &str, line: usize) -> String {
    let lines: Vec<&str> = text.lines().take(line).map(str::trim).collect();
    let name = lines.last().and_then(|line| line.split_once('='));
    let name = name.map_or("", |(name, _)| name.trim());
    let opened = lines.iter().rev().find_map(|line| {
        let section = line.strip_prefix('[')?.trim_start_matches('[');
        section.split_once(']').map(|(section, _)| section)
    });
    let full = match (opened, name.contains('.')) {
        (Some(section), false) => format!("{section}.{name}"),
        _ => name.to_owned(),
    };
    match find(&full) {
        Some(known) => format!("{full} must be {}: {message}", known.allowed()),
        None => message.to_owned(),
    }
}

/// Unsets each setting without a default whose text is empty: `NAME=` is how a shell, a compose file or a manifest says
/// "none".
fn without_empty(mut profiles: Map<Profile, Dict>) -> Map<Profile, Dict> {
    for settings in profiles.values_mut() {
        for known in known().iter().filter(|known| known.is_optional()) {
            if let Some(Value::Dict(_, section)) = settings.get_mut(known.section)
                && let Some(value) = section.get_mut(known.name)
                && value.as_str() == Some("")
            {
                *value = Value::Empty(value.tag(), Empty::None);
            }
        }
    }
    profiles
}

/// Returns the variables that could be settings.
pub(super) fn unicode(
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

/// Returns the environment variable that sets `setting` of `section`.
pub(super) fn variable_name(section: &str, setting: &str) -> String {
    let section = section.to_uppercase();
    // Sync parameters are named by the app, in any case.
    let setting = match section.as_str() {
        "PARAMETERS" => setting.to_owned(),
        _ => setting.to_uppercase(),
    };
    format!("{ENV_PREFIX}{section}{SECTION_SEPARATOR}{setting}")
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
            // Sync parameters are named by the app, in any case.
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

impl Variable {
    fn dict(&self) -> Dict {
        let nested = figment::util::nest(&self.setting, Value::from(self.value.as_str()));
        nested.into_dict().unwrap_or_default()
    }
}

/// Whether Kubernetes sets a variable of this name in every pod because there is a Service called seedbed, or
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
        let profiles = BTreeMap::from([(Profile::Default, self.dict())]);
        Ok(without_empty(retired::replaced(profiles)))
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
    fn what_cannot_be_parsed_is_named_without_its_value() {
        let text = "[token]\nsecret = \"x\"\n\n[worker]\nslots = 9223372036854775808\n";
        let named = not_parsed("u64 value was too large", text, 5);
        assert_eq!(
            named,
            "worker.slots must be a whole number, not negative: u64 value was too large"
        );
        assert_eq!(
            not_parsed("expected newline", "hunter2 = =", 1),
            "expected newline"
        );
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
}
