//! Texts of the settings that contain `{{column}}`: parsed once, filled in for each store from its claims.
//!
//! The only template engine: the coordinator fills in `[parameters]` and `[[streams]]` with it, the worker
//! `token.subject`. A `{{` without its `}}` is an error, found before there is a store to fill in for.

use serde_json::{Map, Value};

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
    /// A claim that cannot be part of a text.
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

/// Returns the names in quotes, separated by commas.
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

/// Returns the kind of a JSON value, for messages.
pub fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a fraction",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A JSON object whose texts are templates, at any depth.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectTemplate(Vec<(String, ValueTemplate)>);

#[derive(Debug, Clone, PartialEq)]
enum ValueTemplate {
    Text(TextTemplate),
    List(Vec<ValueTemplate>),
    Object(ObjectTemplate),
    /// Anything else stays as it is.
    Literal(Value),
}

impl ObjectTemplate {
    /// Parses every text of `object`.
    ///
    /// # Errors
    /// The entry whose template is malformed, and [`TemplateError::Unclosed`].
    pub fn parse(object: &Map<String, Value>) -> Result<Self, (String, TemplateError)> {
        let entries = object.iter().map(|(name, value)| {
            let template = ValueTemplate::parse(value).map_err(|error| (name.clone(), error))?;
            Ok((name.clone(), template))
        });
        entries.collect::<Result<_, _>>().map(Self)
    }

    /// Returns the object with every text filled in.
    ///
    /// # Errors
    /// [`TemplateError`] of the first text that cannot be filled in.
    pub fn fill(&self, claims: &Map<String, Value>) -> Result<Map<String, Value>, TemplateError> {
        let Self(entries) = self;
        let filled = entries
            .iter()
            .map(|(name, value)| Ok((name.clone(), value.fill(claims)?)));
        filled.collect()
    }
}

impl ValueTemplate {
    fn parse(value: &Value) -> Result<Self, TemplateError> {
        Ok(match value {
            Value::String(text) => Self::Text(TextTemplate::parse(text)?),
            Value::Array(items) => {
                Self::List(items.iter().map(Self::parse).collect::<Result<_, _>>()?)
            }
            Value::Object(entries) => {
                let parsed = ObjectTemplate::parse(entries);
                Self::Object(parsed.map_err(|(_, error)| error)?)
            }
            other => Self::Literal(other.clone()),
        })
    }

    fn fill(&self, claims: &Map<String, Value>) -> Result<Value, TemplateError> {
        Ok(match self {
            Self::Text(text) => text.fill(claims)?,
            Self::List(items) => {
                let filled = items.iter().map(|item| item.fill(claims));
                filled.collect::<Result<_, _>>()?
            }
            Self::Object(object) => Value::Object(object.fill(claims)?),
            Self::Literal(value) => value.clone(),
        })
    }
}

/// One text with placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextTemplate {
    text: String,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Column(String),
}

impl TextTemplate {
    /// Parses `text`.
    ///
    /// # Errors
    /// [`TemplateError::Unclosed`].
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once(OPEN) {
            let unclosed = || TemplateError::Unclosed {
                text: text.to_owned(),
            };
            let (column, after) = after.split_once(CLOSE).ok_or_else(unclosed)?;
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(Piece::Column(column.trim().to_owned()));
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        let text = text.to_owned();
        Ok(Self { text, pieces })
    }

    /// Returns the text filled in. One that is exactly one placeholder becomes the claim itself, with its JSON type;
    /// otherwise claims are written into the text.
    ///
    /// # Errors
    /// [`TemplateError::UnknownColumn`].
    pub fn fill(&self, claims: &Map<String, Value>) -> Result<Value, TemplateError> {
        if let [Piece::Column(column)] = &self.pieces[..] {
            return self.claim(column, claims).cloned();
        }
        let written = |_: &str, claim: &Value| match claim {
            Value::String(text) => Ok(text.clone()),
            other => Ok(other.to_string()),
        };
        self.join(claims, written).map(Value::String)
    }

    /// Returns the text filled in, as a text: it takes texts and numbers only.
    ///
    /// # Errors
    /// [`TemplateError`] when the store has no such claim, or one of another type.
    pub fn fill_text(&self, claims: &Map<String, Value>) -> Result<String, TemplateError> {
        self.join(claims, |column, claim| match claim {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            other => Err(TemplateError::NotText {
                text: self.text.clone(),
                column: column.to_owned(),
                found: kind_of(other),
            }),
        })
    }

    /// All pieces in their order, claims as `written` writes them.
    fn join(
        &self,
        claims: &Map<String, Value>,
        written: impl Fn(&str, &Value) -> Result<String, TemplateError>,
    ) -> Result<String, TemplateError> {
        let mut filled = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Column(column) => {
                    filled.push_str(&written(column, self.claim(column, claims)?)?);
                }
            }
        }
        Ok(filled)
    }

    fn claim<'a>(
        &self,
        column: &str,
        claims: &'a Map<String, Value>,
    ) -> Result<&'a Value, TemplateError> {
        let unknown = || TemplateError::UnknownColumn {
            text: self.text.clone(),
            column: column.to_owned(),
            columns: claims.keys().cloned().collect(),
        };
        claims.get(column).ok_or_else(unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn claims() -> Map<String, Value> {
        serde_json::from_value(json!({"id": 7, "region": "eu", "tags": ["a"]})).unwrap()
    }

    fn fill(text: &str) -> Result<Value, TemplateError> {
        TextTemplate::parse(text)?.fill(&claims())
    }

    fn object(template: &Value) -> Result<ObjectTemplate, (String, TemplateError)> {
        ObjectTemplate::parse(template.as_object().unwrap())
    }

    #[test]
    fn a_whole_placeholder_keeps_the_type_of_its_claim() {
        assert_eq!(fill("{{id}}").unwrap(), json!(7));
        assert_eq!(fill("{{ tags }}").unwrap(), json!(["a"]));
    }

    #[test]
    fn placeholders_within_a_text_are_written_into_it() {
        assert_eq!(fill("{{region}}-{{id}}!").unwrap(), json!("eu-7!"));
        assert_eq!(fill("plain").unwrap(), json!("plain"));
        assert_eq!(fill("").unwrap(), json!(""));
    }

    #[test]
    fn nested_values_are_filled_in_too() {
        let template = object(&json!({"a": {"b": ["{{id}}", true]}, "c": 1})).unwrap();
        let filled = template.fill(&claims()).unwrap();
        assert_eq!(
            Value::Object(filled),
            json!({"a": {"b": [7, true]}, "c": 1})
        );
    }

    #[test]
    fn an_unknown_column_is_named_with_those_that_exist() {
        let error = fill("{{store}}").unwrap_err().to_string();
        assert!(
            error.contains("\"store\"") && error.contains("\"id\", \"region\""),
            "{error}"
        );
    }

    #[test]
    fn a_text_takes_texts_and_numbers_only() {
        let claims: Map<String, Value> = serde_json::from_value(
            json!({"id": 7, "name": "a", "vip": true, "none": null, "tags": []}),
        )
        .unwrap();
        let filled = |text: &str| TextTemplate::parse(text)?.fill_text(&claims);
        assert_eq!(filled("{{name}}-{{ id }}").unwrap(), "a-7");
        assert_eq!(filled("{{id}}").unwrap(), "7");
        for (subject, found) in [
            ("{{vip}}", "true or false"),
            ("s-{{none}}", "null"),
            ("{{id}}{{tags}}", "a list"),
            ("{{id", "{{id"),
            ("{{store}}", "\"store\""),
        ] {
            let error = filled(subject).unwrap_err().to_string();
            assert!(error.contains(found), "{subject}: {error}");
        }
    }

    #[test]
    fn an_unclosed_placeholder_is_an_error_of_its_entry() {
        let (entry, error) = object(&json!({"a": 1, "x": ["{{id"]})).unwrap_err();
        assert_eq!(entry, "x");
        assert!(error.to_string().contains("{{id"));
    }
}
