//! Values of the configuration that contain `{{column}}`, filled in from a store's claims.

use serde_json::{Map, Value};

use crate::{JsonObject, json::kind_of};

const OPEN: &str = "{{";
const CLOSE: &str = "}}";

/// Why a template has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A `{{` without its `}}`.
    #[error("{text:?} has a {OPEN} without a {CLOSE}")]
    Unclosed {
        /// The text of the template.
        text: String,
    },
    /// The store has no such claim.
    #[error(
        "{text:?} needs a column {column:?}, which the store does not have; it has {columns}",
        columns = quoted(columns)
    )]
    UnknownColumn {
        /// The text of the template.
        text: String,
        /// The column that it names.
        column: String,
        /// The columns that there are.
        columns: Vec<String>,
    },
    /// A claim that cannot be part of the token's subject.
    #[error(
        "{text:?} needs a text or a number in the column {column:?}, but the store has {found} there"
    )]
    NotText {
        /// The text of the template.
        text: String,
        /// The column that it names.
        column: String,
        /// What the store has.
        found: &'static str,
    },
}

/// The names in quotes, separated by commas.
pub fn quoted<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> String {
    let quoted: Vec<String> = names
        .into_iter()
        .map(|n| format!("{:?}", n.as_ref()))
        .collect();
    if quoted.is_empty() {
        return "none".to_owned();
    }
    quoted.join(", ")
}

/// Fills in every text below `template`.
///
/// # Errors
/// [`TemplateError`] of the first text that cannot be filled in.
pub fn fill_object(
    template: &Map<String, Value>,
    claims: &JsonObject,
) -> Result<JsonObject, TemplateError> {
    template
        .iter()
        .map(|(name, value)| Ok((name.clone(), fill(value, claims)?)))
        .collect()
}

fn fill(template: &Value, claims: &JsonObject) -> Result<Value, TemplateError> {
    match template {
        Value::String(text) => fill_text(text, claims),
        Value::Array(items) => items.iter().map(|item| fill(item, claims)).collect(),
        Value::Object(entries) => Ok(Value::Object(fill_object(entries, claims)?.0)),
        other => Ok(other.clone()),
    }
}

/// Fills in one text. A text that is exactly one placeholder becomes the claim itself, with its JSON type;
/// otherwise claims are written into the text.
///
/// # Errors
/// [`TemplateError`] when it is malformed or names a column that the store does not have.
pub fn fill_text(text: &str, claims: &JsonObject) -> Result<Value, TemplateError> {
    let pieces = pieces(text)?;
    let claim = |column: &str| {
        claims
            .0
            .get(column)
            .ok_or_else(|| TemplateError::UnknownColumn {
                text: text.to_owned(),
                column: column.to_owned(),
                columns: claims.0.keys().cloned().collect(),
            })
    };
    if let [Piece::Column(column)] = pieces[..] {
        return claim(column).cloned();
    }
    let mut filled = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => filled.push_str(text),
            Piece::Column(column) => match claim(column)? {
                Value::String(value) => filled.push_str(value),
                other => filled.push_str(&other.to_string()),
            },
        }
    }
    Ok(Value::String(filled))
}

/// Checks a template of the token's subject as the worker's signer will fill it in: with texts and numbers
/// only.
///
/// # Errors
/// [`TemplateError`] when it is malformed, or the store has no such claim, or one of another type.
pub fn check_subject(text: &str, claims: &JsonObject) -> Result<(), TemplateError> {
    fill_text(text, claims)?;
    for piece in pieces(text)? {
        let Piece::Column(column) = piece else {
            continue;
        };
        match claims.0.get(column) {
            None | Some(Value::String(_) | Value::Number(_)) => {}
            Some(other) => {
                return Err(TemplateError::NotText {
                    text: text.to_owned(),
                    column: column.to_owned(),
                    found: kind_of(other),
                });
            }
        }
    }
    Ok(())
}

/// Checks that every text below `template` is well-formed, before there is a store to fill it in for.
///
/// # Errors
/// [`TemplateError::Unclosed`].
pub fn check(template: &Value) -> Result<(), TemplateError> {
    match template {
        Value::String(text) => pieces(text).map(drop),
        Value::Array(items) => items.iter().try_for_each(check),
        Value::Object(entries) => entries.values().try_for_each(check),
        _ => Ok(()),
    }
}

enum Piece<'a> {
    Text(&'a str),
    Column(&'a str),
}

fn pieces(text: &str) -> Result<Vec<Piece<'_>>, TemplateError> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(OPEN) {
        let (column, after) = after
            .split_once(CLOSE)
            .ok_or_else(|| TemplateError::Unclosed {
                text: text.to_owned(),
            })?;
        if !before.is_empty() {
            pieces.push(Piece::Text(before));
        }
        pieces.push(Piece::Column(column.trim()));
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn claims() -> JsonObject {
        serde_json::from_value(json!({"id": 7, "region": "eu", "tags": ["a"]})).unwrap()
    }

    #[test]
    fn a_whole_placeholder_keeps_the_type_of_its_claim() {
        assert_eq!(fill_text("{{id}}", &claims()).unwrap(), json!(7));
        assert_eq!(fill_text("{{ tags }}", &claims()).unwrap(), json!(["a"]));
    }

    #[test]
    fn placeholders_within_a_text_are_written_into_it() {
        let filled = fill_text("{{region}}-{{id}}!", &claims()).unwrap();
        assert_eq!(filled, json!("eu-7!"));
        assert_eq!(fill_text("plain", &claims()).unwrap(), json!("plain"));
        assert_eq!(fill_text("", &claims()).unwrap(), json!(""));
    }

    #[test]
    fn nested_values_are_filled_in_too() {
        let template = json!({"a": {"b": ["{{id}}", true]}, "c": 1});
        let filled = fill_object(template.as_object().unwrap(), &claims()).unwrap();
        assert_eq!(
            Value::Object(filled.0),
            json!({"a": {"b": [7, true]}, "c": 1})
        );
    }

    #[test]
    fn an_unknown_column_is_named_with_those_that_exist() {
        let error = fill_text("{{store}}", &claims()).unwrap_err().to_string();
        assert!(
            error.contains("\"store\"") && error.contains("\"id\", \"region\""),
            "{error}"
        );
    }

    #[test]
    fn a_subject_takes_texts_and_numbers_only_like_the_signer() {
        let claims: JsonObject = serde_json::from_value(
            json!({"id": 7, "name": "a", "vip": true, "none": null, "tags": []}),
        )
        .unwrap();
        check_subject("{{name}}-{{ id }}", &claims).unwrap();
        for (subject, found) in [
            ("{{vip}}", "true or false"),
            ("s-{{none}}", "null"),
            ("{{id}}{{tags}}", "a list"),
            ("{{id", "{{id"),
            ("{{store}}", "\"store\""),
        ] {
            let error = check_subject(subject, &claims).unwrap_err().to_string();
            assert!(error.contains(found), "{subject}: {error}");
        }
    }

    #[test]
    fn an_unclosed_placeholder_is_an_error() {
        assert!(
            check(&json!({"x": ["{{id"]}))
                .unwrap_err()
                .to_string()
                .contains("{{id")
        );
    }
}
