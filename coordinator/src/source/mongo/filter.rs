//! `source.filter`: which documents are stores, as MongoDB's query in Extended JSON; `":since"` stands for a time.

use chrono::{DateTime, Utc};
use mongodb::bson::{Bson, Document};

use crate::source::error::SourceError;

/// Stands for the time after which a store must have changed to be listed.
const SINCE: &str = ":since";

/// A query in which times are missing.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter(Document);

impl Filter {
    /// Parses a query: `{"active": true, "changedAt": {"$gt": ":since"}}`.
    ///
    /// # Errors
    /// When it is no JSON object.
    pub(super) fn parse(json: &str) -> Result<Self, SourceError> {
        let filter = serde_json::from_str(json).map_err(|error| SourceError::Setting {
            setting: "filter",
            problem: format!("is not a query in MongoDB's Extended JSON: {error}"),
        })?;
        Ok(Self(filter))
    }

    pub(super) fn has_since(&self) -> bool {
        let mut filter = self.0.clone();
        filter.iter_mut().fold(0, |times, (_, value)| {
            times + replace(value, DateTime::UNIX_EPOCH)
        }) > 0
    }

    /// The query, with `since` wherever `":since"` was.
    pub(super) fn with(&self, since: DateTime<Utc>) -> Document {
        let mut filter = self.0.clone();
        for (_, value) in filter.iter_mut() {
            replace(value, since);
        }
        filter
    }
}

/// Puts `since` in the place of each `":since"` in `value`, and returns how many there were.
fn replace(value: &mut Bson, since: DateTime<Utc>) -> usize {
    match value {
        Bson::String(text) if text == SINCE => {
            let millis = since.timestamp_millis();
            *value = mongodb::bson::DateTime::from_millis(millis).into();
            1
        }
        Bson::Document(document) => document
            .iter_mut()
            .map(|(_, value)| replace(value, since))
            .sum(),
        Bson::Array(values) => values.iter_mut().map(|value| replace(value, since)).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{doc, oid::ObjectId};

    use super::*;

    #[test]
    fn since_is_a_date_wherever_it_is_a_value() {
        let filter = Filter::parse(
            r#"{"$or": [{"changedAt": {"$gt": ":since"}}, {"name": "x :since"}], "a": ":since"}"#,
        )
        .unwrap();
        assert!(filter.has_since());
        let since = DateTime::from_timestamp_millis(1_700_000_000_123).unwrap();
        let date = mongodb::bson::DateTime::from_millis(1_700_000_000_123);
        assert_eq!(
            filter.with(since),
            doc! {"$or": [{"changedAt": {"$gt": date}}, {"name": "x :since"}], "a": date}
        );
    }

    #[test]
    fn values_may_be_typed_as_extended_json_types_them() {
        let filter = Filter::parse(
            r#"{"_id": {"$oid": "64b7f0c2a1b2c3d4e5f60718"}, "n": {"$numberLong": "9007199254740993"}}"#,
        )
        .unwrap();
        assert!(!filter.has_since());
        let id = ObjectId::parse_str("64b7f0c2a1b2c3d4e5f60718").unwrap();
        let expected = doc! {"_id": id, "n": 9_007_199_254_740_993_i64};
        assert_eq!(filter.with(DateTime::UNIX_EPOCH), expected);
        for wrong in ["", "[]", "{active: true}", "{} {}"] {
            let error = Filter::parse(wrong).unwrap_err().to_string();
            assert!(error.contains("source.filter"), "{error}");
        }
    }
}
