//! Settings that have a successor. Each is read for one version: what it says becomes its successor's value, and a warning
//! names that.
//!
//! A setting retires with an entry in [`RETIRED`]; file, variables, warning and the [reference](crate::settings::reference()) follow
//! from it.

use std::fmt;

use figment::value::{Dict, Map, Value};

/// A setting that has a successor.
#[derive(Debug)]
pub struct Retired {
    /// Its section.
    pub section: &'static str,
    /// Its name.
    pub name: &'static str,
    /// The name of its successor, in the same section.
    pub successor: &'static str,
    /// The version since which it is retired. The next one no longer reads it.
    pub since: &'static str,
    /// Returns the successor's value for one of its own; `None` if it has none.
    convert: fn(&Value) -> Option<Value>,
}

/// Every retired setting.
pub const RETIRED: [Retired; 1] = [Retired {
    section: "powersync",
    name: "max_reconnects",
    successor: "give_up_after",
    since: "0.1",
    convert: time_for_reconnects,
}];

impl fmt::Display for Retired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            section,
            name,
            successor,
            since,
            ..
        } = self;
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
        let Some(value) = section.remove(retired.name) else {
            continue;
        };
        if let Some(value) = (retired.convert)(&value) {
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
}
