//! Infers tables and columns from the rows themselves, when there is no schema file.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use rusqlite::Connection;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use crate::oplog::sqlite::DatabaseError;

#[derive(Serialize)]
struct InferredSchema {
    tables: Vec<InferredTable>,
}

#[derive(Serialize)]
struct InferredTable {
    name: String,
    columns: Vec<InferredColumn>,
}

#[derive(Serialize)]
struct InferredColumn {
    name: String,
    #[serde(rename = "type")]
    kind: ColumnKind,
}

/// SQLite's column types in PowerSync's schema, from the narrowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum ColumnKind {
    Integer,
    Real,
    Text,
}

/// Columns in the order in which they first arrived; their kind is known after the first value that is not null.
type Columns = Vec<(String, Option<ColumnKind>)>;

/// The tables and columns of the rows so far. Fields that are null in every row become text.
#[derive(Default)]
pub(crate) struct Inference(BTreeMap<String, Columns>);

impl Inference {
    /// Infers from every row of `ps_oplog`, in one pass.
    pub(super) fn of_all_rows(connection: &Connection) -> Result<Self, DatabaseError> {
        let mut inference = Self::default();
        let mut rows =
            connection.prepare("SELECT row_type, data FROM ps_oplog WHERE row_type IS NOT NULL")?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            let table = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
            let data = row
                .get_ref(1)?
                .as_str_or_null()
                .map_err(rusqlite::Error::from)?;
            match data {
                Some(data) => inference.add(table, data)?,
                None => drop(inference.columns(table)),
            }
        }
        Ok(inference)
    }

    /// Adds a row, as JSON.
    ///
    /// # Errors
    /// [`DatabaseError::Row`] when the row is not an object.
    pub(crate) fn add(&mut self, table: &str, data: &str) -> Result<(), DatabaseError> {
        let columns = self.columns(table);
        let mut json = serde_json::Deserializer::from_str(data);
        let widened = json.deserialize_map(Widen(columns));
        widened.map_err(|e| DatabaseError::Row {
            table: table.to_owned(),
            reason: e.to_string(),
        })
    }

    /// Returns the columns of a table; adds the table if it is new.
    fn columns(&mut self, table: &str) -> &mut Columns {
        if !self.0.contains_key(table) {
            self.0.insert(table.to_owned(), Columns::new());
        }
        self.0.get_mut(table).expect("it was just inserted")
    }

    /// Returns the schema as the SDK's JSON.
    pub(super) fn schema(self) -> String {
        let column = |(name, kind): (String, Option<ColumnKind>)| InferredColumn {
            name,
            kind: kind.unwrap_or(ColumnKind::Text),
        };
        let table = |(name, columns): (String, Columns)| InferredTable {
            name,
            columns: columns.into_iter().map(column).collect(),
        };
        let schema = InferredSchema {
            tables: self.0.into_iter().map(table).collect(),
        };
        serde_json::to_string(&schema).expect("names and kinds are text")
    }
}

/// Widens the known columns so that one more row fits.
struct Widen<'a>(&'a mut Columns);

impl<'de> Visitor<'de> for Widen<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut row: A) -> Result<(), A::Error> {
        // Rows of a table have the same columns in the same order: look first behind the last column that was found.
        let mut next = 0;
        while let Some(Name(name)) = row.next_key()? {
            let kind = row.next_value::<Kind>()?.0;
            // No view can have a column for the latter two: its path would break every row.
            if name.eq_ignore_ascii_case("id") || name.is_empty() || name.starts_with('"') {
                continue;
            }
            let is_next = self.0.get(next).is_some_and(|(known, _)| *known == name);
            let found = if is_next {
                Some(next)
            } else {
                self.0.iter().position(|(known, _)| *known == name)
            };
            let index = found.unwrap_or_else(|| {
                self.0.push((name.into_owned(), None));
                self.0.len() - 1
            });
            let known = &mut self.0[index].1;
            *known = (*known).max(kind);
            next = index + 1;
        }
        Ok(())
    }
}

/// A column's name, borrowed if possible; serde always copies a `Cow` without this attribute.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// Reads the kind of a JSON value; `None` for null.
struct Kind(Option<ColumnKind>);

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KindVisitor;
        impl<'de> Visitor<'de> for KindVisitor {
            type Value = Option<ColumnKind>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(None)
            }
            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Some(ColumnKind::Integer))
            }
            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Some(ColumnKind::Integer))
            }
            fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                Ok(Some(ColumnKind::Integer))
            }
            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Some(ColumnKind::Real))
            }
            fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
                Ok(Some(ColumnKind::Text))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Some(ColumnKind::Text))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
                while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Some(ColumnKind::Text))
            }
        }
        deserializer.deserialize_any(KindVisitor).map(Self)
    }
}
