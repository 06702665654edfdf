//! Settings, and spellings of their values, that have a successor. Each is read for one version: what it says becomes its
//! successor's value, and a warning names that.
//!
//! A setting retires with an entry in [`RETIRED`]; file, variables, warning and the [reference](crate::settings::reference()) follow
//! from it.

use std::fmt;

use figment::value::{Dict, Map, Value};

/// A setting that has a successor, or values of a setting that have.
#[derive(Debug)]
pub struct Retired {
    /// Its section.
    pub section: &'static str,
    /// Its name.
    pub name: &'static str,
    /// The name of its successor, in the same section; its own, if only values are retired.
    pub successor: &'static str,
    /// The retired values and what they are written as now; `None` if the setting itself is retired.
    pub values: Option<(&'static str, &'static str)>,
    /// The version since which it is retired. The next one no longer reads it.
    pub since: &'static str,
    /// Returns the successor's value for one of its own; `None` if it has none, or is none that is retired.
    convert: fn(&Value) -> Option<Value>,
}

/// Every retired setting.
pub const RETIRED: [Retired; 2] = [
    Retired {
        section: "powersync",
        name: "max_reconnects",
        successor: "give_up_after",
        values: None,
        since: "0.1",
        convert: time_for_reconnects,
    },
    Retired {
        section: "snapshots",
        name: "renditions",
        successor: "renditions",
        values: Some((
            "identity, gzip, zstd",
            "file/identity, file/gzip, file/zstd",
        )),
        since: "0.1",
        convert: files_in_encodings,
    },
];

impl fmt::Display for Retired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            section,
            name,
            successor,
            values,
            since,
            ..
        } = self;
        if let Some((old, new)) = values {
            return write!(
                f,
                "{section}.{name}: {old} without a form are retired since {since}, and the next version no longer reads \
                 them; write {new} instead"
            );
        }
        write!(
            f,
            "{section}.{name} is retired since {since}, and the next version no longer reads it; set \
             {section}.{successor} instead"
        )
    }
}

/// Replaces what is retired in the settings of one file or variable. A successor that is set beside it wins. Returns what
/// was replaced.
pub(super) fn replace(settings: &mut Dict) -> Vec<&'static Retired> {
    let mut replaced = Vec::new();
    for retired in &RETIRED {
        let Some(Value::Dict(_, section)) = settings.get_mut(retired.section) else {
            continue;
        };
        let Some(value) = section.get(retired.name) else {
            continue;
        };
        let converted = (retired.convert)(value);
        if retired.values.is_some() && converted.is_none() {
            continue;
        }
        section.remove(retired.name);
        if let Some(value) = converted {
            let successor = section.entry(retired.successor.to_owned());
            successor.or_insert(value);
        }
        replaced.push(retired);
    }
    replaced
}

/// As [`replace`], for the settings of a provider.
pub(super) fn replaced<P: Ord>(mut profiles: Map<P, Dict>) -> Map<P, Dict> {
    for settings in profiles.values_mut() {
        replace(settings);
    }
    profiles
}

/// A stream was opened again so many times, after pauses of up to 15 s: as long, and at least for the default time. Fewer
/// would give up during a restart of the service, which is why they are no longer counted.
fn time_for_reconnects(reconnects: &Value) -> Option<Value> {
    let number = match reconnects.as_str() {
        Some(text) => text.trim().parse().ok(),
        None => reconnects
            .to_i128()
            .and_then(|number| u64::try_from(number).ok()),
    };
    let seconds = number?.saturating_mul(15).max(300);
    Some(Value::from(format!("{seconds}s")))
}

/// A rendition was an encoding of the SQLite file, before there were other forms.
fn files_in_encodings(renditions: &Value) -> Option<Value> {
    const ENCODINGS: [&str; 3] = ["identity", "gzip", "zstd"];
    let names: Vec<&str> = match (renditions.as_str(), renditions.as_array()) {
        (Some(text), _) => text.split(',').map(str::trim).collect(),
        (None, Some(list)) => list.iter().map(Value::as_str).collect::<Option<_>>()?,
        (None, None) => return None,
    };
    let is_encoding = |name: &&str| ENCODINGS.contains(name);
    names.iter().any(is_encoding).then(|| {
        let kind = |name| match is_encoding(&name) {
            true => format!("file/{name}"),
            false => name.to_owned(),
        };
        Value::from(names.into_iter().map(kind).collect::<Vec<_>>())
    })
}

#[cfg(test)]
mod tests {
    use figment::providers::{Format, Toml};
    use figment::{Profile, Provider};

    use super::*;

    fn settings(text: &str) -> Dict {
        let mut profiles = Toml::string(text).data().unwrap();
        profiles.remove(&Profile::Default).unwrap()
    }

    fn give_up_after(settings: &Dict) -> Option<&str> {
        let Some(Value::Dict(_, section)) = settings.get("powersync") else {
            return None;
        };
        assert!(!section.contains_key("max_reconnects"));
        section.get("give_up_after")?.as_str()
    }

    #[test]
    fn a_retired_setting_becomes_its_successor_unless_that_is_set() {
        for (text, value, replaced) in [
            ("max_reconnects = 5", Some("300s"), 1),
            ("max_reconnects = \"100\"", Some("1500s"), 1),
            ("max_reconnects = true", None, 1),
            ("max_reconnects = 5\ngive_up_after = \"1m\"", Some("1m"), 1),
            ("give_up_after = \"1m\"", Some("1m"), 0),
        ] {
            let mut settings = settings(&format!("[powersync]\n{text}\n"));
            let found = replace(&mut settings);
            assert_eq!(found.len(), replaced, "{text}");
            assert_eq!(give_up_after(&settings), value, "{text}");
            for retired in found {
                let warning = retired.to_string();
                assert!(warning.contains("powersync.give_up_after"), "{warning}");
            }
        }
    }

    #[test]
    fn an_encoding_alone_is_the_file_in_it() {
        for (text, renditions) in [
            (
                r#"["identity", "compact/gzip"]"#,
                Some("file/identity,compact/gzip"),
            ),
            (r#""gzip, file/zstd""#, Some("file/gzip,file/zstd")),
            (r#"["file/identity"]"#, None),
            (r#"["brotli"]"#, None),
            ("[1]", None),
        ] {
            let mut settings = settings(&format!("[snapshots]\nrenditions = {text}\n"));
            let before = settings.clone();
            let found = replace(&mut settings);
            assert_eq!(found.len(), usize::from(renditions.is_some()), "{text}");
            let Some(renditions) = renditions else {
                assert_eq!(settings, before, "{text}");
                continue;
            };
            let Some(Value::Dict(_, section)) = settings.get("snapshots") else {
                panic!("{text}");
            };
            let list = section["renditions"].as_array().unwrap();
            let list: Vec<_> = list.iter().filter_map(Value::as_str).collect();
            assert_eq!(list.join(","), renditions);
            let warning = found[0].to_string();
            assert!(warning.contains("file/gzip"), "{warning}");
        }
    }
}
