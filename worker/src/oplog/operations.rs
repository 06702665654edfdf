//! The operations of a data line, borrowed from it.
//!
//! What the core extension would refuse, or treat in a special way, is not decoded but left to it.

use std::{borrow::Cow, fmt};

use bson::{RawBsonRef, RawDocument};
use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny},
};

use super::checksum::Checksum;
use crate::powersync::{Line, LineFormat};

/// A bucket of the core extension's own.
const LOCAL_BUCKET: &str = "$local";

const UNREADABLE: Reason = "a data line in an unknown form";

/// Why a line is left to the core extension.
pub type Reason = &'static str;

/// A data line.
#[derive(Debug, PartialEq)]
pub struct Batch<'a> {
    /// The bucket's name.
    pub bucket: Cow<'a, str>,
    /// What happened in it, in order.
    pub operations: Vec<Operation<'a>>,
}

/// One operation.
#[derive(Debug, PartialEq)]
pub struct Operation<'a> {
    /// Its id, which is positive.
    pub op_id: i64,
    /// Its part of the bucket's checksum.
    pub checksum: u32,
    /// What it does.
    pub change: Change<'a>,
}

/// What an operation does.
#[derive(Debug, PartialEq)]
pub enum Change<'a> {
    /// Writes a row.
    Put {
        /// Which.
        row: RowKey<'a>,
        /// Its JSON, unread.
        data: Cow<'a, str>,
    },
    /// Removes a row.
    Remove {
        /// Which.
        row: RowKey<'a>,
    },
    /// Nothing: what it did has moved to a later operation.
    Move,
    /// Empties the bucket.
    Clear,
}

/// A row within a bucket.
#[derive(Debug, PartialEq)]
pub struct RowKey<'a> {
    /// Its type, which names its table.
    pub kind: Cow<'a, str>,
    /// Its id.
    pub id: Cow<'a, str>,
    /// What tells apart several rows of the source that are one for the client.
    pub subkey: Option<Cow<'a, str>>,
}

impl RowKey<'_> {
    /// Writes the key by which a bucket's operations supersede each other, as the core extension does.
    pub(crate) fn write_to(&self, key: &mut String) {
        key.clear();
        for part in [&self.kind, "/", &self.id, "/"] {
            key.push_str(part);
        }
        key.push_str(self.subkey.as_deref().unwrap_or("null"));
    }

    fn texts(&self) -> impl Iterator<Item = &str> {
        [Some(&self.kind), Some(&self.id), self.subkey.as_ref()]
            .into_iter()
            .flatten()
            .map(|text| &**text)
    }
}

/// Decodes a data line.
///
/// # Errors
/// Why it is not a plain one.
pub fn decode(line: &Line) -> Result<Batch<'_>, Reason> {
    let batch = match line.format {
        LineFormat::Bson => decode_bson(&line.bytes)?,
        LineFormat::Ndjson => decode_json(&line.bytes)?,
    };
    if batch.bucket == LOCAL_BUCKET {
        return Err("a bucket that is not the service's");
    }
    Ok(batch)
}

/// An operation's fields as they came.
#[derive(Default, Deserialize)]
struct Entry<'a> {
    checksum: Option<Checksum>,
    #[serde(borrow)]
    op_id: Option<Text<'a>>,
    #[serde(borrow)]
    op: Option<Text<'a>>,
    #[serde(borrow)]
    object_id: Option<Text<'a>>,
    #[serde(borrow)]
    object_type: Option<Text<'a>>,
    #[serde(borrow)]
    subkey: Option<Text<'a>>,
    #[serde(borrow)]
    data: Option<Text<'a>>,
}

/// Borrowed also within an `Option`, where a bare `Cow` would be owned.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Entry<'a> {
    fn operation(self) -> Result<Operation<'a>, Reason> {
        let (Some(checksum), Some(op_id), Some(op)) = (self.checksum, self.op_id, self.op) else {
            return Err(UNREADABLE);
        };
        let op_id: i64 = op_id.0.parse().map_err(|_| UNREADABLE)?;
        if op_id <= 0 {
            return Err("an op id that is not positive");
        }
        let row = match (self.object_type, self.object_id) {
            (Some(Text(kind)), Some(Text(id))) => Some(RowKey {
                kind,
                id,
                subkey: self.subkey.map(|subkey| subkey.0),
            }),
            _ => None,
        };
        let change = match (&*op.0, row, self.data) {
            ("PUT", Some(row), Some(Text(data))) => Change::Put { row, data },
            ("PUT", Some(_), None) => return Err("a PUT without data"),
            ("REMOVE", Some(row), _) => Change::Remove { row },
            ("PUT" | "REMOVE", None, _) => return Err("an operation without a row"),
            ("MOVE", ..) => Change::Move,
            ("CLEAR", ..) => Change::Clear,
            _ => return Err(UNREADABLE),
        };
        if change.has_zero_byte() {
            return Err("a text with a zero byte");
        }
        Ok(Operation {
            op_id,
            checksum: checksum.0,
            change,
        })
    }
}

impl Change<'_> {
    /// Some of SQL's functions stop at one.
    fn has_zero_byte(&self) -> bool {
        let zero = |text: &str| text.as_bytes().contains(&0);
        match self {
            Self::Put { row, data } => zero(data) || row.texts().any(zero),
            Self::Remove { row } => row.texts().any(zero),
            Self::Move | Self::Clear => false,
        }
    }
}

fn decode_json(bytes: &[u8]) -> Result<Batch<'_>, Reason> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Document<'a> {
        #[serde(borrow)]
        data: Data<'a>,
    }
    #[derive(Deserialize)]
    struct Data<'a> {
        #[serde(borrow)]
        bucket: Cow<'a, str>,
        #[serde(borrow)]
        data: Operations<'a>,
    }
    let document: Document<'_> = serde_json::from_slice(bytes).map_err(|_| UNREADABLE)?;
    let Data { bucket, data } = document.data;
    let operations = data.0?;
    Ok(Batch { bucket, operations })
}

/// Checked one by one, so that a line of nothing but braces takes no memory.
struct Operations<'a>(Result<Vec<Operation<'a>>, Reason>);

impl<'de: 'a, 'a> Deserialize<'de> for Operations<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Operations<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("operations")
            }
            fn visit_seq<A: de::SeqAccess<'de>>(
                self,
                mut entries: A,
            ) -> Result<Self::Value, A::Error> {
                let mut operations = Vec::new();
                while let Some(entry) = entries.next_element::<Entry<'de>>()? {
                    match entry.operation() {
                        Ok(operation) => operations.push(operation),
                        Err(reason) => {
                            while entries.next_element::<IgnoredAny>()?.is_some() {}
                            return Ok(Operations(Err(reason)));
                        }
                    }
                }
                Ok(Operations(Ok(operations)))
            }
        }
        deserializer.deserialize_seq(Visitor)
    }
}

fn decode_bson(bytes: &[u8]) -> Result<Batch<'_>, Reason> {
    let document = RawDocument::from_bytes(bytes).map_err(|_| UNREADABLE)?;
    let mut data = None;
    for field in document {
        match field.map_err(|_| UNREADABLE)? {
            (name, RawBsonRef::Document(value)) if name == "data" => set(&mut data, value)?,
            _ => return Err(UNREADABLE),
        }
    }
    let (mut bucket, mut operations) = (None, None);
    for field in data.ok_or(UNREADABLE)? {
        match field.map_err(|_| UNREADABLE)? {
            (name, RawBsonRef::String(value)) if name == "bucket" => set(&mut bucket, value)?,
            (name, RawBsonRef::Array(value)) if name == "data" => set(&mut operations, value)?,
            (name, _) if name == "bucket" || name == "data" => return Err(UNREADABLE),
            _ => {}
        }
    }
    let (bucket, operations) = (bucket.ok_or(UNREADABLE)?, operations.ok_or(UNREADABLE)?);
    let mut batch = Batch {
        bucket: bucket.into(),
        operations: Vec::new(),
    };
    for operation in operations {
        match operation.map_err(|_| UNREADABLE)? {
            RawBsonRef::Document(operation) => {
                batch.operations.push(bson_entry(operation)?.operation()?);
            }
            _ => return Err(UNREADABLE),
        }
    }
    Ok(batch)
}

fn bson_entry(document: &RawDocument) -> Result<Entry<'_>, Reason> {
    let mut entry = Entry::default();
    for field in document {
        let (name, value) = field.map_err(|_| UNREADABLE)?;
        let text = match name.as_str() {
            "checksum" => {
                set(
                    &mut entry.checksum,
                    Checksum::from_bson(value).ok_or(UNREADABLE)?,
                )?;
                continue;
            }
            "op_id" => &mut entry.op_id,
            "op" => &mut entry.op,
            "object_id" => &mut entry.object_id,
            "object_type" => &mut entry.object_type,
            "subkey" => &mut entry.subkey,
            "data" => &mut entry.data,
            _ => continue,
        };
        match value {
            RawBsonRef::String(value) => set(text, Text(value.into()))?,
            RawBsonRef::Null => {}
            _ => return Err(UNREADABLE),
        }
    }
    Ok(entry)
}

/// A field comes once.
fn set<T>(field: &mut Option<T>, value: T) -> Result<(), Reason> {
    match field.replace(value) {
        None => Ok(()),
        Some(_) => Err(UNREADABLE),
    }
}
