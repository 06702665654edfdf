//! Converts the value of a field to a column's, as PowerSync replicates it.
//!
//! What PowerSync makes of each BSON type: <https://docs.powersync.com/sync/types>.

use chrono::{DateTime, SecondsFormat, Utc};
use mongodb::bson::{Binary, Bson, spec::BinarySubtype};
use serde_json::{Map, Value, json};

use crate::source::{cast::Origin, error::RecordProblem, record::MAX_EXACT};

/// How `source.fields` casts a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cast {
    None,
    /// As PowerSync's `CAST(… AS TEXT)`.
    Text,
    /// Bytes, as PowerSync's `hex`.
    Hex,
}

/// The value of `column`, which `is_id` if it is the store's id.
pub(super) fn column(
    column: &str,
    value: &Bson,
    cast: Cast,
    is_id: bool,
) -> Result<Value, RecordProblem> {
    let (role, advice) = match (cast, value) {
        (_, Bson::Null | Bson::Undefined) => return Ok(Value::Null),
        (Cast::Hex, Bson::Binary(binary)) => return Ok(hex(&binary.bytes).into()),
        (Cast::Hex, _) => (
            "a text by ::hex",
            "remove the cast in source.fields".to_owned(),
        ),
        (Cast::Text, value) => match text(value) {
            Some(text) => return Ok(text.into()),
            None => (
                "a text by ::text",
                "remove the cast in source.fields".to_owned(),
            ),
        },
        (Cast::None, Bson::Binary(binary)) if uuid(binary).is_none() => (
            if is_id { "the store's id" } else { "a claim" },
            Origin::Mongo.as_hex(column),
        ),
        // PowerSync writes times in one of two ways, as the sync config asks for.
        (Cast::None, Bson::DateTime(_) | Bson::JavaScriptCode(_)) if is_id => (
            "the store's id",
            "name another field in source.fields".to_owned(),
        ),
        (Cast::None, value) => return Ok(json(value)),
    };
    Err(RecordProblem::ColumnType {
        column: column.to_owned(),
        type_name: format!("{:?}", value.element_type()),
        role,
        advice,
    })
}

/// A value in JSON. Bytes inside of an object or a list are left out, as PowerSync leaves them out.
fn json(value: &Bson) -> Value {
    match value {
        Bson::Int32(number) => (*number).into(),
        Bson::Int64(number) => (*number).into(),
        Bson::Boolean(flag) => (*flag).into(),
        // Many clients write every number as a double.
        Bson::Double(number) if is_integer(*number) => (*number as i64).into(),
        Bson::Double(number) => json!(number),
        Bson::DateTime(time) => DateTime::<Utc>::from_timestamp_millis(time.timestamp_millis())
            .map(|time| time.to_rfc3339_opts(SecondsFormat::Millis, true))
            .into(),
        Bson::Timestamp(time) => (u64::from(time.time) << 32 | u64::from(time.increment)).into(),
        Bson::RegularExpression(regex) => {
            json!({"pattern": regex.pattern.as_str(), "options": regex.options.as_str()})
        }
        Bson::JavaScriptCode(code) => json!({"code": code, "scope": null}),
        Bson::Document(document) => {
            let fields = document.iter().filter(|(_, value)| !is_bytes(value));
            let fields = fields.map(|(name, value)| (name.clone(), json(value)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        Bson::Array(values) => {
            let values = values.iter();
            values
                .map(|value| {
                    if is_bytes(value) {
                        Value::Null
                    } else {
                        json(value)
                    }
                })
                .collect()
        }
        other => text(other).map_or(Value::Null, Value::String),
    }
}

/// A value as a text, if it has one form only.
fn text(value: &Bson) -> Option<String> {
    match value {
        Bson::String(text) | Bson::Symbol(text) => Some(text.clone()),
        Bson::ObjectId(id) => Some(id.to_hex()),
        Bson::Binary(binary) => uuid(binary),
        // With every digit.
        Bson::Decimal128(number) => Some(number.to_string()),
        Bson::Int32(number) => Some(number.to_string()),
        Bson::Int64(number) => Some(number.to_string()),
        Bson::Double(number) if is_integer(*number) => Some((*number as i64).to_string()),
        Bson::Boolean(flag) => Some(u8::from(*flag).to_string()),
        _ => None,
    }
}

fn is_integer(number: f64) -> bool {
    number.fract() == 0.0 && number.abs() <= MAX_EXACT as f64
}

/// The text of a UUID, if these bytes are one. The older subtype has its bytes in an order that depends on the writer.
fn uuid(binary: &Binary) -> Option<String> {
    if binary.subtype != BinarySubtype::Uuid {
        return None;
    }
    let uuid = uuid::Uuid::from_slice(&binary.bytes).ok()?;
    Some(uuid.to_string())
}

fn is_bytes(value: &Bson) -> bool {
    matches!(value, Bson::Binary(binary) if uuid(binary).is_none())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{self, doc, oid::ObjectId};

    use super::*;

    const UUID: &str = "0f2a4c6e-8b1d-4e3f-9a5b-7c8d9e0f1a2b";

    fn uuid_of(subtype: BinarySubtype) -> Bson {
        let bytes = uuid::Uuid::parse_str(UUID).unwrap().into_bytes().to_vec();
        Bson::Binary(Binary { subtype, bytes })
    }

    fn id(value: impl Into<Bson>, cast: Cast) -> Result<Value, String> {
        column("id", &value.into(), cast, true).map_err(|problem| problem.to_string())
    }

    #[test]
    fn an_id_is_what_powersync_has() {
        let object = ObjectId::parse_str("64B7F0C2A1B2C3D4E5F60718").unwrap();
        let decimal: bson::Decimal128 = "1.50".parse().unwrap();
        for (value, expected) in [
            (Bson::from("a"), json!("a")),
            (object.into(), json!("64b7f0c2a1b2c3d4e5f60718")),
            (uuid_of(BinarySubtype::Uuid), json!(UUID)),
            (Bson::Int32(-7), json!(-7)),
            (
                Bson::Int64(9_007_199_254_740_993),
                json!(9_007_199_254_740_993_i64),
            ),
            (Bson::Double(42.0), json!(42)),
            (decimal.into(), json!("1.50")),
            (Bson::Null, Value::Null),
        ] {
            assert_eq!(id(value, Cast::None).unwrap(), expected);
        }
        assert_eq!(
            id(9_007_199_254_740_993_i64, Cast::Text).unwrap(),
            "9007199254740993"
        );
        assert_eq!(id(uuid_of(BinarySubtype::Uuid), Cast::Text).unwrap(), UUID);
        let hex = UUID.replace('-', "").to_uppercase();
        assert_eq!(id(uuid_of(BinarySubtype::Generic), Cast::Hex).unwrap(), hex);
    }

    #[test]
    fn what_a_token_cannot_carry_is_refused_with_what_to_write() {
        for subtype in [BinarySubtype::Generic, BinarySubtype::UuidOld] {
            let error = id(uuid_of(subtype), Cast::None).unwrap_err();
            assert!(
                error.contains("\"id\"") && error.contains("::hex"),
                "{error}"
            );
        }
        let error = id(bson::DateTime::from_millis(0), Cast::None).unwrap_err();
        assert!(
            error.contains("DateTime") && error.contains("source.fields"),
            "{error}"
        );
        assert!(id("a", Cast::Hex).unwrap_err().contains("::hex"));
        assert!(id(doc! {}, Cast::Text).unwrap_err().contains("::text"));
    }

    #[test]
    fn a_claim_keeps_its_type() {
        let value = doc! {
            "flag": true, "rate": 0.5, "at": bson::DateTime::from_millis(1_700_000_000_123),
            "bytes": uuid_of(BinarySubtype::Generic), "ids": [uuid_of(BinarySubtype::Uuid), uuid_of(BinarySubtype::Generic)],
            "infinite": f64::INFINITY, "least": Bson::MinKey,
        };
        assert_eq!(
            column("extra", &value.into(), Cast::None, false).unwrap(),
            json!({
                "flag": true, "rate": 0.5, "at": "2023-11-14T22:13:20.123Z", "ids": [UUID, null],
                "infinite": null, "least": null
            })
        );
    }
}
