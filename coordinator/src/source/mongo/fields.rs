//! `source.fields`: which field of a document becomes which column.

use std::collections::{BTreeMap, BTreeSet};

use mongodb::bson::{Bson, Document};

use super::values::{self, Cast};
use crate::source::{
    error::{RecordProblem, SourceError},
    record::Columns,
};

/// The columns of a document.
#[derive(Debug, Clone)]
pub(super) enum Fields {
    /// Every field, under its own name.
    All,
    /// These, by column.
    Named(BTreeMap<String, Field>),
}

/// A field by its path, and how its value is cast.
#[derive(Debug, Clone)]
pub(super) struct Field {
    path: Vec<String>,
    cast: Cast,
}

impl Fields {
    /// Parses `column = "path.to.field"`, `"field::text"`, `"field::hex"`.
    ///
    /// # Errors
    /// When a path has an empty part, or a cast is unknown.
    pub(super) fn parse(fields: Option<&BTreeMap<String, String>>) -> Result<Self, SourceError> {
        let Some(fields) = fields.filter(|fields| !fields.is_empty()) else {
            return Ok(Self::All);
        };
        let parsed = fields.iter().map(|(column, field)| {
            let field = Field::parse(field).map_err(|problem| SourceError::Setting {
                setting: "fields",
                problem: format!("has {column} = {field:?}, {problem}"),
            })?;
            Ok((column.clone(), field))
        });
        Ok(Self::Named(parsed.collect::<Result<_, _>>()?))
    }

    /// What the server sends of each document; `None` for all of it.
    pub(super) fn projection(&self) -> Option<Document> {
        let Self::Named(fields) = self else {
            return None;
        };
        let paths: BTreeSet<&[String]> = fields.values().map(|field| &field.path[..]).collect();
        // A server refuses a path along with one below it.
        let is_covered = |path: &[String]| (1..path.len()).any(|end| paths.contains(&path[..end]));
        let kept = paths.iter().filter(|path| !is_covered(path));
        let mut projection: Document = kept.map(|path| (path.join("."), Bson::Int32(1))).collect();
        if !paths.iter().any(|path| path[0] == "_id") {
            projection.insert("_id", 0);
        }
        Some(projection)
    }

    /// The columns of `document`; `store_id` is the one with the store's id. A field that it lacks is null.
    pub(super) fn columns(
        &self,
        document: &Document,
        store_id: &str,
    ) -> Result<Columns, RecordProblem> {
        let mut columns = Columns::default();
        let mut add = |column: &str, value: &Bson, cast| {
            let value = values::column(column, value, cast, column == store_id)?;
            columns.add(column, value)
        };
        match self {
            Self::All => {
                for (column, value) in document {
                    add(column, value, Cast::None)?;
                }
            }
            Self::Named(fields) => {
                for (column, field) in fields {
                    add(column, field.of(document), field.cast)?;
                }
            }
        }
        Ok(columns)
    }
}

impl Field {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let (path, cast) = match text.split_once("::") {
            None => (text, Cast::None),
            Some((path, "text")) => (path, Cast::Text),
            Some((path, "hex")) => (path, Cast::Hex),
            Some(_) => return Err("but the casts are ::text and ::hex"),
        };
        let path: Vec<String> = path.split('.').map(str::to_owned).collect();
        if path
            .iter()
            .any(|part| part.is_empty() || part.starts_with('$'))
        {
            return Err("which is not a field's name or a path such as address.city");
        }
        Ok(Self { path, cast })
    }

    fn of<'a>(&self, document: &'a Document) -> &'a Bson {
        let (last, parents) = self.path.split_last().expect("a path has a part");
        let parent = parents.iter().try_fold(document, |parent, part| {
            parent.get(part).and_then(Bson::as_document)
        });
        parent
            .and_then(|parent| parent.get(last))
            .unwrap_or(&Bson::Null)
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::doc;
    use serde_json::json;

    use super::*;

    fn fields(fields: &[(&str, &str)]) -> Result<Fields, String> {
        let owned = fields
            .iter()
            .map(|(c, f)| ((*c).to_owned(), (*f).to_owned()));
        Fields::parse(Some(&owned.collect())).map_err(|error| error.to_string())
    }

    #[test]
    fn a_column_is_a_field_at_any_depth() {
        let fields = fields(&[
            ("store_id", "_id"),
            ("city", "address.city"),
            ("address", "address"),
            ("none", "address.city.x"),
        ])
        .unwrap();
        assert_eq!(fields.projection(), Some(doc! {"_id": 1, "address": 1}));
        let document = doc! {"_id": "a", "address": {"city": "Köln"}};
        let columns = fields.columns(&document, "store_id").unwrap();
        assert_eq!(
            serde_json::to_value(columns.into_map()).unwrap(),
            json!({"address": {"city": "Köln"}, "city": "Köln", "none": null, "store_id": "a"})
        );
    }

    #[test]
    fn what_is_not_asked_for_is_not_sent() {
        let fields = fields(&[("store_id", "number::text")]).unwrap();
        assert_eq!(fields.projection(), Some(doc! {"number": 1, "_id": 0}));
        assert!(Fields::parse(None).unwrap().projection().is_none());
    }

    #[test]
    fn what_is_no_path_is_refused_with_its_column() {
        for wrong in ["", "a..b", ".a", "$id", "a::int", "a::text::hex"] {
            let error = fields(&[("store_id", wrong)]).unwrap_err();
            assert!(error.contains("source.fields has store_id"), "{error}");
        }
    }
}
