//! Looks at the rows of a data line that is not decoded: counts them, and writes each as the core extension takes it.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use bson::{RawBsonRef, RawDocument};
use serde::{Deserialize, Deserializer, de};
use serde_json::value::{RawValue, to_raw_value};

use super::depth::{check_document, check_value};
use crate::powersync::{Line, LineFormat, StreamError};

/// Facts about a data line.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// How many operations it has.
    pub(super) operations: u64,
    /// Whether a row is a JSON object instead of a text.
    pub(super) has_objects: bool,
}

impl Rows {
    /// Looks at a data line in one pass.
    ///
    /// # Errors
    /// [`StreamError::Malformed`] when the line is not a data line, or nested too deep.
    pub(super) fn of(line: &Line) -> Result<Self, StreamError> {
        #[derive(Deserialize)]
        struct Document {
            data: Data,
        }
        #[derive(Deserialize)]
        struct Data {
            data: Rows,
        }
        match line.format {
            LineFormat::Bson => Ok(Self {
                operations: count_bson(&line.bytes).map_err(malformed)?,
                has_objects: false,
            }),
            LineFormat::Ndjson => {
                let document: Document = serde_json::from_slice(&line.bytes).map_err(malformed)?;
                Ok(document.data.data)
            }
        }
    }
}

/// Returns the error of a line that cannot be read.
pub(super) fn malformed(reason: impl fmt::Display) -> StreamError {
    StreamError::Malformed(format!("a line that cannot be read: {reason}"))
}

/// Counts the elements of `data.data`, and checks the depth of everything.
fn count_bson(bytes: &[u8]) -> Result<u64, Cow<'static, str>> {
    let unreadable = |error: bson::error::Error| Cow::from(error.to_string());
    let mut data = None;
    for field in RawDocument::from_bytes(bytes).map_err(unreadable)? {
        match field.map_err(unreadable)? {
            (name, RawBsonRef::Document(value)) if name == "data" && data.is_none() => {
                data = Some(value);
            }
            (_, value) => check_value(value, 2)?,
        }
    }
    let mut operations = None;
    for field in data.ok_or("it has no data")? {
        match field.map_err(unreadable)? {
            (name, RawBsonRef::Array(value)) if name == "data" && operations.is_none() => {
                operations = Some(value);
            }
            (_, value) => check_value(value, 3)?,
        }
    }
    let mut count = 0;
    for operation in operations.ok_or("it has no operations")? {
        match operation.map_err(unreadable)? {
            RawBsonRef::Document(operation) => check_document(operation, 4)?,
            value => check_value(value, 4)?,
        }
        count += 1;
    }
    Ok(count)
}

impl<'de> Deserialize<'de> for Rows {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Operation<'a> {
            #[serde(borrow, default)]
            data: Option<&'a RawValue>,
        }
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Rows;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("operations")
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Rows, A::Error> {
                let mut rows = Rows::default();
                while let Some(operation) = items.next_element::<Operation<'de>>()? {
                    rows.operations += 1;
                    rows.has_objects |= operation.data.is_some_and(is_object);
                }
                Ok(rows)
            }
        }
        deserializer.deserialize_seq(Visitor)
    }
}

fn is_object(row: &RawValue) -> bool {
    row.get().starts_with('{')
}

/// Rewrites an NDJSON data line so that each row is a text with JSON in it, which the core extension takes. It asks the
/// service for that (`raw_data`); a service that does not know the option writes the row itself.
///
/// # Errors
/// [`StreamError::Malformed`] when the line is not a data line.
pub(super) fn with_rows_as_text(line: &Line) -> Result<Line, StreamError> {
    type Fields<'a> = BTreeMap<&'a str, &'a RawValue>;
    let document: BTreeMap<&str, Fields<'_>> =
        serde_json::from_slice(&line.bytes).map_err(malformed)?;
    let mut data = document.get("data").cloned().unwrap_or_default();
    let operations = data.get("data").map_or("[]", |operations| operations.get());
    let operations: Vec<&RawValue> = serde_json::from_str(operations).map_err(malformed)?;
    let mut rewritten = String::from("[");
    for operation in operations {
        if rewritten.len() > 1 {
            rewritten.push(',');
        }
        let mut fields: Fields<'_> = serde_json::from_str(operation.get()).map_err(malformed)?;
        match fields.get("data").filter(|row| is_object(row)) {
            None => rewritten.push_str(operation.get()),
            Some(row) => {
                let text = to_raw_value(row.get()).map_err(malformed)?;
                fields.insert("data", &text);
                rewritten.push_str(&serde_json::to_string(&fields).map_err(malformed)?);
            }
        }
    }
    rewritten.push(']');
    let operations = RawValue::from_string(rewritten).map_err(malformed)?;
    data.insert("data", &operations);
    let bytes = serde_json::to_vec(&BTreeMap::from([("data", data)])).map_err(malformed)?;
    Ok(Line {
        format: line.format,
        bytes: bytes.into(),
    })
}
