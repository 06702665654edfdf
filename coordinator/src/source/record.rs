//! One line or row of the list: its columns, and the scope that they make.

use std::fmt;

use seedbed_protocol::{JsonObject, StoreId, message::Scope, settings::kind_of};
use seedbed_worker::powersync::RESERVED_CLAIMS;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::{Map, Number, Value};

use super::{cast::Origin, error::RecordProblem};

/// The largest integer up to which doubles are exact: PowerSync reads tokens with JavaScript's `JSON.parse`.
pub(super) const MAX_EXACT: u64 = (1 << 53) - 1;

/// The columns of one record, in their order; no two have the same name.
#[derive(Debug, Default)]
pub(super) struct Columns(Map<String, Value>);

impl Columns {
    pub(super) fn add(&mut self, column: &str, value: Value) -> Result<(), RecordProblem> {
        match self.0.insert(column.to_owned(), value) {
            None => Ok(()),
            Some(_) => Err(RecordProblem::DuplicateColumn {
                column: column.to_owned(),
            }),
        }
    }

    /// The columns by name.
    #[cfg(test)]
    pub(super) fn into_map(self) -> Map<String, Value> {
        self.0
    }

    /// Gives a column that is there another value.
    pub(super) fn replace(&mut self, column: &str, value: Value) {
        if let Some(current) = self.0.get_mut(column) {
            *current = value;
        }
    }
}

/// JSON allows a name twice, and most parsers keep only the last value.
impl<'de> Deserialize<'de> for Columns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Record;

        impl<'de> Visitor<'de> for Record {
            type Value = Columns;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Columns, A::Error> {
                let mut columns = Columns::default();
                while let Some((column, value)) = entries.next_entry::<String, Value>()? {
                    columns.add(&column, value).map_err(A::Error::custom)?;
                }
                Ok(columns)
            }
        }

        deserializer.deserialize_map(Record)
    }
}

/// The scope of a record with these columns.
pub(super) fn scope(
    Columns(columns): Columns,
    store_id_column: &str,
    origin: Origin,
) -> Result<Scope, RecordProblem> {
    let reserved = |name: &&String| RESERVED_CLAIMS.contains(&name.as_str());
    if let Some(column) = columns.keys().find(reserved) {
        let column = column.clone();
        return Err(RecordProblem::ReservedClaim { column });
    }
    let id = match columns.get(store_id_column) {
        Some(Value::String(id)) => id.clone(),
        Some(Value::Number(id)) if !id.is_f64() => id.to_string(),
        Some(other) => {
            let advice = match other {
                Value::Null => String::new(),
                _ => format!("; {}", origin.as_text(store_id_column)),
            };
            return Err(RecordProblem::StoreIdType {
                column: store_id_column.to_owned(),
                found: kind_of(other),
                advice,
            });
        }
        None => {
            return Err(RecordProblem::NoStoreId {
                column: store_id_column.to_owned(),
                columns: columns.into_iter().map(|(name, _)| name).collect(),
            });
        }
    };
    for (column, value) in &columns {
        if let Some(number) = inexact(value) {
            return Err(RecordProblem::InexactNumber {
                column: column.clone(),
                number: number.to_string(),
                advice: origin.as_text(column),
            });
        }
    }
    Ok(Scope {
        store_id: StoreId::new(id)?,
        claims: JsonObject(columns),
    })
}

/// The first number in `value` that may not be what JavaScript makes of it. A fraction is as exact as a double ever is.
fn inexact(value: &Value) -> Option<&Number> {
    match value {
        Value::Number(number) => {
            let exact = match (number.as_i64(), number.as_f64()) {
                (Some(integer), _) => integer.unsigned_abs() <= MAX_EXACT,
                // An integer above `i64`, or one that no integer type holds.
                (None, Some(float)) => float.abs() <= MAX_EXACT as f64,
                (None, None) => false,
            };
            (!exact).then_some(number)
        }
        Value::Array(values) => values.iter().find_map(inexact),
        Value::Object(values) => values.values().find_map(inexact),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(json: &str) -> Option<String> {
        let columns = serde_json::from_str(json).unwrap();
        let scope = scope(columns, "id", Origin::MySql);
        scope.err().map(|problem| problem.to_string())
    }

    #[test]
    fn a_number_that_a_double_cannot_hold_is_refused_with_the_cast_to_write() {
        for number in [
            "9007199254740992",
            "9007199254740993",
            "-9007199254740993",
            "18446744073709551615",
            "340282366920938463463374607431768211456",
        ] {
            let error = refused(&format!("{{\"id\":{number}}}")).unwrap();
            assert!(error.contains("CAST(id AS CHAR) AS id"), "{error}");
            let nested = format!("{{\"id\":1,\"extra\":{{\"list\":[{number}]}}}}");
            assert!(refused(&nested).unwrap().contains("\"extra\""));
        }
        for exact in ["9007199254740991", "-9007199254740991", "0"] {
            assert_eq!(refused(&format!("{{\"id\":{exact}}}")), None);
        }
        assert_eq!(refused(r#"{"id":"9007199254740993","rate":0.1}"#), None);
    }

    #[test]
    fn an_id_of_another_kind_is_refused_with_the_cast_to_write() {
        for (json, found) in [
            (r#"{"id":true}"#, "true or false"),
            (r#"{"id":1.5}"#, "a fraction"),
        ] {
            let error = refused(json).unwrap();
            assert!(
                error.contains(found) && error.contains("CAST(id AS CHAR) AS id"),
                "{error}"
            );
        }
        assert!(!refused(r#"{"id":null}"#).unwrap().contains("CAST"));
    }
}
