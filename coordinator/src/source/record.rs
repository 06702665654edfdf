//! One line or row of the list: its columns, and the scope that they make.

use std::fmt;

use seedbed_protocol::{JsonObject, StoreId, message::Scope, settings::kind_of};
use seedbed_worker::powersync::RESERVED_CLAIMS;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::{Map, Value};

use super::error::RecordProblem;

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
) -> Result<Scope, RecordProblem> {
    let reserved = |name: &&String| RESERVED_CLAIMS.contains(&name.as_str());
    if let Some(column) = columns.keys().find(reserved) {
        let column = column.clone();
        return Err(RecordProblem::ReservedClaim { column });
    }
    let wrong_type = |found| RecordProblem::StoreIdType {
        column: store_id_column.to_owned(),
        found,
    };
    let id = match columns.get(store_id_column) {
        Some(Value::String(id)) => id.clone(),
        Some(Value::Number(id)) if !id.is_f64() => id.to_string(),
        Some(other) => return Err(wrong_type(kind_of(other))),
        None => {
            return Err(RecordProblem::NoStoreId {
                column: store_id_column.to_owned(),
                columns: columns.into_iter().map(|(name, _)| name).collect(),
            });
        }
    };
    Ok(Scope {
        store_id: StoreId::new(id)?,
        claims: JsonObject(columns),
    })
}
