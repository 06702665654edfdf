//! The operations of a data line, borrowed from it.
//!
//! What the core extension would refuse, or treat in a special way, is not decoded but left to it.

use std::{borrow::Cow, fmt};

use bson::{RawBsonRef, RawDocument};
use serde::{Deserialize, Deserializer, de};

use super::Reason;
use crate::stream::{Line, LineFormat};

/// A bucket of the core extension's own.
const LOCAL_BUCKET: &str = "$local";

const UNREADABLE: Reason = "a data line in an unknown form";

/// A data line.
#[derive(Debug, PartialEq)]
pub(super) struct Batch<'a> {
    pub(super) bucket: Cow<'a, str>,
    pub(super) operations: Vec<Operation<'a>>,
    /// The op id of the last one.
    pub(super) last_op: Option<i64>,
}

/// One operation.
#[derive(Debug, PartialEq)]
pub(super) enum Operation<'a> {
    Put {
        op_id: i64,
        row: PutOrRemove<'a>,
        data: Cow<'a, str>,
    },
    Remove {
        row: PutOrRemove<'a>,
    },
    Move {
        checksum: u32,
    },
    Clear {
        checksum: u32,
    },
}

/// What PUT and REMOVE have in common.
#[derive(Debug, PartialEq)]
pub(super) struct PutOrRemove<'a> {
    pub(super) kind: Cow<'a, str>,
    pub(super) id: Cow<'a, str>,
    subkey: Option<Cow<'a, str>>,
    pub(super) checksum: u32,
}

impl PutOrRemove<'_> {
    /// The key by which a bucket's operations supersede each other, as the core extension writes it.
    pub(super) fn write_key(&self, key: &mut String) {
        key.clear();
        for part in [&self.kind, "/", &self.id, "/"] {
            key.push_str(part);
        }
        key.push_str(self.subkey.as_deref().unwrap_or("null"));
    }
}

/// Decodes a data line.
///
/// # Errors
/// Why it is not a plain one.
pub(super) fn decode(line: &Line) -> Result<Batch<'_>, Reason> {
    match line.format {
        LineFormat::Bson => decode_bson(&line.bytes),
        LineFormat::Ndjson => decode_json(&line.bytes),
    }
}

/// An operation's fields as they came.
#[derive(Default, Deserialize)]
struct Entry<'a> {
    #[serde(default, deserialize_with = "checksum")]
    checksum: Option<u32>,
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

impl<'a> Batch<'a> {
    fn new(bucket: Cow<'a, str>, most_operations: usize) -> Result<Self, Reason> {
        if bucket == LOCAL_BUCKET {
            return Err("a bucket that is not the service's");
        }
        Ok(Self {
            bucket,
            operations: Vec::with_capacity(most_operations),
            last_op: None,
        })
    }

    fn push(&mut self, entry: Entry<'a>) -> Result<(), Reason> {
        let (Some(checksum), Some(op_id), Some(op)) = (entry.checksum, entry.op_id, entry.op)
        else {
            return Err(UNREADABLE);
        };
        let op_id: i64 = op_id.0.parse().map_err(|_| UNREADABLE)?;
        if op_id <= 0 {
            return Err("an op id that is not positive");
        }
        let row = match (entry.object_type, entry.object_id) {
            (Some(Text(kind)), Some(Text(id))) => Some(PutOrRemove {
                kind,
                id,
                subkey: entry.subkey.map(|subkey| subkey.0),
                checksum,
            }),
            _ => None,
        };
        let data = entry.data.map(|data| data.0);
        let operation = match (&*op.0, row, data) {
            ("PUT", Some(row), Some(data)) => Operation::Put { op_id, row, data },
            ("PUT", Some(_), None) => return Err("a PUT without data"),
            ("REMOVE", Some(row), _) => Operation::Remove { row },
            ("PUT" | "REMOVE", None, _) => return Err("an operation without a row"),
            ("MOVE", ..) => Operation::Move { checksum },
            ("CLEAR", ..) => Operation::Clear { checksum },
            _ => return Err(UNREADABLE),
        };
        if operation.has_zero_byte() {
            return Err("a text with a zero byte");
        }
        self.operations.push(operation);
        self.last_op = Some(op_id);
        Ok(())
    }
}

impl Operation<'_> {
    /// SQL's functions stop at one.
    fn has_zero_byte(&self) -> bool {
        let (row, data) = match self {
            Self::Put { row, data, .. } => (row, Some(data)),
            Self::Remove { row } => (row, None),
            Self::Move { .. } | Self::Clear { .. } => return false,
        };
        [Some(&row.kind), Some(&row.id), row.subkey.as_ref(), data]
            .into_iter()
            .flatten()
            .any(|text| text.as_bytes().contains(&0))
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
        data: Vec<Entry<'a>>,
    }
    let document: Document<'_> = serde_json::from_slice(bytes).map_err(|_| UNREADABLE)?;
    let Data { bucket, data } = document.data;
    let mut batch = Batch::new(bucket, data.len())?;
    for entry in data {
        batch.push(entry)?;
    }
    Ok(batch)
}

/// An array's length is not known before its end; a row has at least this many bytes.
const LEAST_OPERATION_BYTES: usize = 64;

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
    let most_operations = operations.as_bytes().len() / LEAST_OPERATION_BYTES;
    let mut batch = Batch::new(bucket.into(), most_operations.min(1000))?;
    for operation in operations {
        match operation.map_err(|_| UNREADABLE)? {
            RawBsonRef::Document(operation) => batch.push(bson_entry(operation)?)?,
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
                set(&mut entry.checksum, bson_checksum(value)?)?;
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

fn bson_checksum(value: RawBsonRef<'_>) -> Result<u32, Reason> {
    let number = match value {
        RawBsonRef::Int32(number) => Some(i64::from(number)),
        RawBsonRef::Int64(number) => Some(number),
        RawBsonRef::Double(number) => whole(number),
        _ => None,
    };
    number.and_then(modulo).ok_or(UNREADABLE)
}

fn whole(number: f64) -> Option<i64> {
    let whole = number.is_finite() && number.trunc() == number;
    whole.then_some(number as i64)
}

/// Checksums come signed or unsigned, with 32 bits; those of one value are equal.
fn modulo(number: i64) -> Option<u32> {
    let fits = u32::try_from(number).is_ok() || i32::try_from(number).is_ok();
    fits.then_some(number as u32)
}

fn checksum<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    struct Visitor;
    impl de::Visitor<'_> for Visitor {
        type Value = Option<u32>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a checksum")
        }
        fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
            Ok(modulo(value))
        }
        fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
            Ok(u32::try_from(value).ok())
        }
        fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
            Ok(whole(value).and_then(modulo))
        }
    }
    deserializer.deserialize_any(Visitor)
}
