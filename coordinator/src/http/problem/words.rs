//! What the framework refuses, in the words of this program: which part of the request, and what is allowed there.

use axum::extract::rejection::{JsonRejection, QueryRejection};
use serde::{
    Deserializer,
    de::{DeserializeOwned, Visitor, value::Error as Stopped},
    forward_to_deserialize_any,
};
use serde_json::{Map, Value};

/// What stands before serde's own words in those of a query.
const QUERY: &str = "Failed to deserialize query string: ";

/// Says what is wrong with a query string.
pub(super) fn query(rejection: &QueryRejection) -> String {
    let text = rejection.body_text();
    let text = text.strip_prefix(QUERY).unwrap_or(&text);
    // The parameter comes first, if it is known.
    match text.split_once(": ") {
        Some((parameter, reason)) if is_name(parameter) => reworded(parameter, reason),
        _ => reworded("the query", text),
    }
}

/// Says what is wrong with a body that is no JSON object.
pub(super) fn json(rejection: &JsonRejection) -> String {
    match rejection {
        JsonRejection::MissingJsonContentType(_) => {
            "the body has to be JSON, with the header Content-Type: application/json".to_owned()
        }
        JsonRejection::JsonSyntaxError(_) => {
            let text = rejection.body_text();
            let place = text.rsplit_once(" at line ");
            let place = place.and_then(|(_, place)| place.split_once(" column "));
            match place {
                Some((line, column)) => {
                    format!("the body is not JSON: look at line {line}, column {column}")
                }
                None => "the body is not JSON".to_owned(),
            }
        }
        JsonRejection::JsonDataError(_) => "the body has to be a JSON object".to_owned(),
        _ if rejection.status().as_u16() == 413 => {
            "the body is larger than is taken here; send less at a time".to_owned()
        }
        _ => "the body could not be read to its end".to_owned(),
    }
}

/// Reads an object, or says what is wrong in it.
pub(super) fn read<T: DeserializeOwned>(object: Map<String, Value>) -> Result<T, String> {
    let object = Value::Object(object);
    T::deserialize(&object).map_err(|error| {
        wrong_field::<T>(&object).unwrap_or_else(|| {
            let allowed = fields_of::<T>().join(", ");
            let wrong = reworded("the body", &error.to_string());
            format!("{wrong}; a body may have {allowed}")
        })
    })
}

/// Says what is wrong with the first field that cannot be read; none if all can.
fn wrong_field<T: DeserializeOwned>(object: &Value) -> Option<String> {
    object.as_object()?.iter().find_map(|(name, value)| {
        // Alone, so that the field is known that is wrong; another one that is missing has its own turn.
        let alone = Map::from_iter([(name.clone(), value.clone())]);
        let error = T::deserialize(Value::Object(alone)).err()?.to_string();
        (!error.starts_with("missing field")).then(|| reworded(name, &error))
    })
}

/// Returns the names of the fields of `T`, which serde knows only while it reads one.
pub(super) fn fields_of<T: DeserializeOwned>() -> &'static [&'static str] {
    struct Asked<'a>(&'a mut &'static [&'static str]);

    impl<'de> Deserializer<'de> for Asked<'_> {
        type Error = Stopped;

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Stopped> {
            Err(serde::de::Error::custom("only the names are asked for"))
        }

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            visitor: V,
        ) -> Result<V::Value, Stopped> {
            *self.0 = fields;
            self.deserialize_any(visitor)
        }

        forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
            unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }

    let mut fields: &'static [&'static str] = &[];
    let _ = T::deserialize(Asked(&mut fields));
    fields
}

fn is_name(text: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '[' | ']');
    !text.is_empty() && text.chars().all(is_part)
}

/// Says what serde says of a value at `place`.
fn reworded(place: &str, text: &str) -> String {
    let between = |start: &str, middle: &str| {
        let rest = text.strip_prefix(start)?;
        let (one, other) = rest.split_once(middle)?;
        Some((one.to_owned(), names(other)))
    };
    if let Some((field, allowed)) = between("unknown field `", "`, ") {
        let allowed = match allowed.as_str() {
            "there are no fields" => "nothing is asked for here".to_owned(),
            allowed => format!("there is {}", allowed.trim_start_matches("expected ")),
        };
        return format!("{field:?} is not known here; {allowed}");
    }
    if let Some((value, allowed)) = between("unknown variant `", "`, expected ") {
        return format!("{place}: {value:?} is not {allowed}");
    }
    if let Some((found, wanted)) = between("invalid type: ", ", expected ") {
        return has_to_be(place, &wanted, &found);
    }
    if let Some((found, wanted)) = between("invalid value: ", ", expected ") {
        return has_to_be(place, &wanted, &found);
    }
    if let Some(field) = text.strip_prefix("missing field `") {
        return format!("{} is missing", field.trim_end_matches('`'));
    }
    if let Some(field) = text.strip_prefix("duplicate field `") {
        return format!("{} is there twice", field.trim_end_matches('`'));
    }
    let is_number = ["digit", "integer", "number", "float"];
    if is_number.iter().any(|word| text.contains(word)) {
        return format!("{place} has to be a whole number, and no larger than it makes sense");
    }
    if text.contains("`true` or `false`") {
        return format!("{place} has to be true or false");
    }
    format!("{place}: {text}")
}

fn has_to_be(place: &str, wanted: &str, found: &str) -> String {
    let wanted = match wanted {
        "a sequence" => "a list",
        "a string" => "a text",
        "a boolean" => "true or false",
        "a map" => "an object",
        "u8" | "u16" | "u32" | "u64" => "a whole number, not below 0",
        "f32" | "f64" => "a number",
        wanted if wanted.starts_with("struct ") => "an object",
        wanted => wanted,
    };
    let found = match found {
        "sequence" => "a list".to_owned(),
        "map" => "an object".to_owned(),
        found => names(found),
    };
    format!("{place} has to be {wanted}, and is {found}")
}

/// Without the marks of code.
fn names(text: &str) -> String {
    text.replace('`', "")
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields, default)]
    #[allow(dead_code)]
    struct Asked {
        stores: Vec<String>,
        only_older_than: Option<String>,
        limit: Option<u32>,
        full: bool,
    }

    #[test]
    fn a_body_is_refused_with_the_field_and_what_is_allowed() {
        let refused = |body: Value| {
            let Value::Object(body) = body else {
                panic!("it is an object")
            };
            read::<Asked>(body).unwrap_err()
        };
        for (body, said) in [
            (
                json!({"stores": "1"}),
                "stores has to be a list, and is string \"1\"",
            ),
            (
                json!({"stores": [1]}),
                "stores has to be a text, and is integer 1",
            ),
            (
                json!({"full": 1}),
                "full has to be true or false, and is integer 1",
            ),
            (
                json!({"limit": -1}),
                "limit has to be a whole number, not below 0, and is integer -1",
            ),
            (
                json!({"older": 1}),
                "\"older\" is not known here; there is one of stores, onlyOlderThan, limit, full",
            ),
        ] {
            assert_eq!(refused(body), said);
        }
        assert_eq!(
            fields_of::<Asked>(),
            ["stores", "onlyOlderThan", "limit", "full"]
        );
    }

    #[test]
    fn what_serde_says_of_a_query_is_said_in_other_words() {
        for (place, text, said) in [
            (
                "state",
                "unknown variant `odd`, expected `a` or `b`",
                "state: \"odd\" is not a or b",
            ),
            (
                "limit",
                "invalid digit found in string",
                "limit has to be a whole number, and no larger than it makes sense",
            ),
            (
                "the query",
                "missing field `store_id`",
                "store_id is missing",
            ),
            (
                "the query",
                "unknown field `x`, there are no fields",
                "\"x\" is not known here; nothing is asked for here",
            ),
            (
                "quarantined",
                "provided string was not `true` or `false`",
                "quarantined has to be true or false",
            ),
        ] {
            assert_eq!(reworded(place, text), said);
        }
    }
}
