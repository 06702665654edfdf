//! Turns figment's errors into messages that name the setting and never show its value.

use std::fmt;

use figment::{
    Metadata,
    error::{Actual, Kind},
};

use super::error::SettingsError;

pub(super) fn origin(metadata: Option<&Metadata>) -> String {
    metadata.map_or_else(|| "the settings".to_owned(), |m| m.name.to_string())
}

/// Says what is wrong, without the value: it may be a secret.
pub(super) fn explain(error: figment::Error) -> SettingsError {
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

pub(super) fn advice(name: &str, allowed: &[&str]) -> String {
    let nearest = allowed.iter().min_by_key(|other| edits(name, other));
    match nearest {
        Some(nearest) if edits(name, nearest) <= 2 => format!("did you mean {nearest}?"),
        _ => format!("there are {}", allowed.join(", ")),
    }
}

/// Returns the Levenshtein distance: letters to insert, remove or replace.
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
