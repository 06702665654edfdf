//! Decodes the operations of a data line, for the bulk load.
//!
//! The texts are not copied: an operation knows where they stand in the line. What the core extension would refuse, or
//! treat in a special way, is not decoded but left to it.

use std::{borrow::Cow, fmt, ops::Range};

use bson::{RawBsonRef, RawDocument};
use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::{checksum::Checksum, depth::check_value};
use crate::powersync::{Line, LineFormat};

/// The core extension's own bucket, which no service has.
const LOCAL_BUCKET: &str = "$local";

const UNREADABLE: Reason = "a data line in an unknown form";

/// Why a line is left to the core extension.
pub type Reason = &'static str;

/// A decoded data line.
#[derive(Debug)]
pub struct Batch {
    line: Bytes,
    bucket: Text,
    /// The bucket's operations, in order.
    pub operations: Vec<Operation>,
}

/// A text of a line: the part of the line's bytes that it is, or a copy where JSON's escapes had to be undone.
#[derive(Debug)]
pub enum Text {
    /// A range of the line's bytes.
    Part(Range<usize>),
    /// The text itself.
    Copy(String),
}

/// One operation.
#[derive(Debug)]
pub struct Operation {
    /// The operation's id, which is positive.
    pub op_id: i64,
    /// Its part of the bucket's checksum.
    pub checksum: u32,
    /// What it does.
    pub change: Change,
}

/// What an operation does.
#[derive(Debug)]
pub enum Change {
    /// Writes a row.
    Put {
        row: RowKey,
        /// The row as JSON, not parsed.
        data: Text,
    },
    /// Removes a row.
    Remove { row: RowKey },
    /// Nothing: its effect has moved to a later operation.
    Move,
    /// Empties the bucket.
    Clear,
}

/// The key of a row within a bucket.
#[derive(Debug)]
pub struct RowKey {
    /// The row's type, which names its table.
    pub kind: Text,
    pub id: Text,
    /// Tells apart several rows of the source that are one row for the client.
    pub subkey: Option<Text>,
}

impl Batch {
    /// Returns the bucket's name.
    pub fn bucket(&self) -> &str {
        self.str(&self.bucket)
    }

    /// Returns one of this batch's texts.
    pub fn str<'a>(&'a self, text: &'a Text) -> &'a str {
        match text {
            Text::Copy(text) => text,
            Text::Part(part) => std::str::from_utf8(&self.line[part.clone()])
                .expect("it was decoded from this part of the line"),
        }
    }

    /// Writes the key by which a bucket's operations supersede each other, as the core extension writes it.
    pub(super) fn write_key(&self, row: &RowKey, key: &mut String) {
        key.clear();
        for part in [self.str(&row.kind), "/", self.str(&row.id), "/"] {
            key.push_str(part);
        }
        key.push_str(row.subkey.as_ref().map_or("null", |text| self.str(text)));
    }
}

/// Decodes a data line, in one pass.
///
/// # Errors
/// Why it is left to the core extension.
pub fn decode(line: &Line) -> Result<Batch, Reason> {
    let batch = match line.format {
        LineFormat::Bson => decode_bson(&line.bytes)?,
        LineFormat::Ndjson => decode_json(&line.bytes)?,
    };
    if batch.bucket() == LOCAL_BUCKET {
        return Err("a bucket that is not the service's");
    }
    Ok(batch)
}

/// The fields of an operation as they stand in the line.
#[derive(Default, Deserialize)]
struct Entry<'a> {
    checksum: Option<Checksum>,
    #[serde(borrow)]
    op_id: Option<Borrowed<'a>>,
    #[serde(borrow)]
    op: Option<Borrowed<'a>>,
    #[serde(borrow)]
    object_id: Option<Borrowed<'a>>,
    #[serde(borrow)]
    object_type: Option<Borrowed<'a>>,
    #[serde(borrow)]
    subkey: Option<Borrowed<'a>>,
    #[serde(borrow)]
    data: Option<Borrowed<'a>>,
}

impl Entry<'_> {
    /// Whether a text that would be written has a zero byte, where some of SQL's functions stop.
    fn has_zero_byte(&self) -> bool {
        let zero = |text: &Option<Borrowed<'_>>| {
            let text = text.as_ref();
            text.is_some_and(|text| text.0.as_bytes().contains(&0))
        };
        let in_key = || zero(&self.object_type) || zero(&self.object_id) || zero(&self.subkey);
        match self.op.as_ref().map(|op| &*op.0) {
            Some("PUT") => zero(&self.data) || in_key(),
            Some("REMOVE") => in_key(),
            _ => false,
        }
    }
}

/// A text that is borrowed if possible; serde always copies a `Cow` without this attribute.
#[derive(Deserialize)]
struct Borrowed<'a>(#[serde(borrow)] Cow<'a, str>);

/// A line that is being decoded.
#[derive(Clone, Copy)]
struct Origin<'l>(&'l [u8]);

impl Origin<'_> {
    /// Returns where a text that was borrowed from the line stands in it.
    fn text(self, text: Cow<'_, str>) -> Text {
        let text = match text {
            Cow::Borrowed(text) => text,
            Cow::Owned(text) => return Text::Copy(text),
        };
        let start = text.as_ptr().addr().wrapping_sub(self.0.as_ptr().addr());
        match start.checked_add(text.len()) {
            Some(end) if end <= self.0.len() => Text::Part(start..end),
            // Not from this line.
            _ => Text::Copy(text.to_owned()),
        }
    }

    fn operation(self, entry: Entry<'_>) -> Result<Operation, Reason> {
        let has_zero_byte = entry.has_zero_byte();
        let (Some(Checksum(checksum)), Some(op_id), Some(op)) =
            (entry.checksum, entry.op_id, entry.op)
        else {
            return Err(UNREADABLE);
        };
        let op_id: i64 = op_id.0.parse().map_err(|_| UNREADABLE)?;
        if op_id <= 0 {
            return Err("an op id that is not positive");
        }
        let row = match (entry.object_type, entry.object_id) {
            (Some(kind), Some(id)) => Some(RowKey {
                kind: self.text(kind.0),
                id: self.text(id.0),
                subkey: entry.subkey.map(|subkey| self.text(subkey.0)),
            }),
            _ => None,
        };
        let change = match (&*op.0, row, entry.data) {
            ("PUT", Some(row), Some(data)) => Change::Put {
                row,
                data: self.text(data.0),
            },
            ("PUT", Some(_), None) => return Err("a PUT without data"),
            ("REMOVE", Some(row), _) => Change::Remove { row },
            ("PUT" | "REMOVE", None, _) => return Err("an operation without a row"),
            ("MOVE", ..) => Change::Move,
            ("CLEAR", ..) => Change::Clear,
            _ => return Err(UNREADABLE),
        };
        if has_zero_byte {
            return Err("a text with a zero byte");
        }
        Ok(Operation {
            op_id,
            checksum,
            change,
        })
    }
}

fn decode_json(bytes: &Bytes) -> Result<Batch, Reason> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let decoded = Document(Origin(bytes)).deserialize(&mut json);
    let (bucket, operations) = decoded.map_err(|_| UNREADABLE)?;
    json.end().map_err(|_| UNREADABLE)?;
    Ok(Batch {
        line: bytes.clone(),
        bucket,
        operations: operations?,
    })
}

/// Reads `{"data":…}` with no other field.
struct Document<'l>(Origin<'l>);

/// Reads the bucket and the operations of a data line; other fields are skipped.
struct Data<'l>(Origin<'l>);

/// Reads operations, one by one, so that a line of nothing but braces takes no memory.
struct Operations<'l>(Origin<'l>);

type Decoded = (Text, Result<Vec<Operation>, Reason>);

impl<'de> DeserializeSeed<'de> for Document<'_> {
    type Value = Decoded;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Decoded, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Document<'_> {
    type Value = Decoded;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a data line")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Decoded, A::Error> {
        let mut data = None;
        while let Some(Borrowed(name)) = fields.next_key()? {
            if name != "data" || data.is_some() {
                return Err(de::Error::custom(UNREADABLE));
            }
            data = Some(fields.next_value_seed(Data(self.0))?);
        }
        data.ok_or_else(|| de::Error::missing_field("data"))
    }
}

impl<'de> DeserializeSeed<'de> for Data<'_> {
    type Value = Decoded;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Decoded, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Data<'_> {
    type Value = Decoded;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a bucket's operations")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Decoded, A::Error> {
        let (mut bucket, mut operations) = (None, None);
        while let Some(Borrowed(name)) = fields.next_key()? {
            let once = match &*name {
                "bucket" => {
                    let Borrowed(text) = fields.next_value()?;
                    set(&mut bucket, self.0.text(text))
                }
                "data" => set(&mut operations, fields.next_value_seed(Operations(self.0))?),
                _ => fields.next_value::<IgnoredAny>().map(|_| Ok(()))?,
            };
            once.map_err(de::Error::custom)?;
        }
        match (bucket, operations) {
            (Some(bucket), Some(operations)) => Ok((bucket, operations)),
            _ => Err(de::Error::custom(UNREADABLE)),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Operations<'_> {
    type Value = Result<Vec<Operation>, Reason>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Operations<'_> {
    type Value = Result<Vec<Operation>, Reason>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("operations")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut operations = Vec::new();
        while let Some(entry) = entries.next_element::<Entry<'de>>()? {
            match self.0.operation(entry) {
                Ok(operation) => operations.push(operation),
                Err(reason) => {
                    while entries.next_element::<IgnoredAny>()?.is_some() {}
                    return Ok(Err(reason));
                }
            }
        }
        Ok(Ok(operations))
    }
}

fn decode_bson(bytes: &Bytes) -> Result<Batch, Reason> {
    let document = RawDocument::from_bytes(bytes).map_err(|_| UNREADABLE)?;
    let mut data = None;
    for field in document {
        match field.map_err(|_| UNREADABLE)? {
            (name, RawBsonRef::Document(value)) if name == "data" => set(&mut data, value)?,
            _ => return Err(UNREADABLE),
        }
    }
    let (mut bucket, mut entries) = (None, None);
    for field in data.ok_or(UNREADABLE)? {
        match field.map_err(|_| UNREADABLE)? {
            (name, RawBsonRef::String(value)) if name == "bucket" => set(&mut bucket, value)?,
            (name, RawBsonRef::Array(value)) if name == "data" => set(&mut entries, value)?,
            (name, _) if name == "bucket" || name == "data" => return Err(UNREADABLE),
            // The document, `data`, and then this value.
            (_, value) => check_value(value, 3).map_err(|_| UNREADABLE)?,
        }
    }
    let (bucket, entries) = (bucket.ok_or(UNREADABLE)?, entries.ok_or(UNREADABLE)?);
    let origin = Origin(bytes);
    let mut operations = Vec::new();
    for entry in entries {
        match entry.map_err(|_| UNREADABLE)? {
            RawBsonRef::Document(entry) => operations.push(origin.operation(bson_entry(entry)?)?),
            _ => return Err(UNREADABLE),
        }
    }
    Ok(Batch {
        line: bytes.clone(),
        bucket: origin.text(bucket.into()),
        operations,
    })
}

fn bson_entry(document: &RawDocument) -> Result<Entry<'_>, Reason> {
    let mut entry = Entry::default();
    for field in document {
        let (name, value) = field.map_err(|_| UNREADABLE)?;
        let text = match name.as_str() {
            "checksum" => {
                let checksum = Checksum::from_bson(value).ok_or(UNREADABLE)?;
                set(&mut entry.checksum, checksum)?;
                continue;
            }
            "op_id" => &mut entry.op_id,
            "op" => &mut entry.op,
            "object_id" => &mut entry.object_id,
            "object_type" => &mut entry.object_type,
            "subkey" => &mut entry.subkey,
            "data" => &mut entry.data,
            _ => {
                // The document, `data`, its array, the operation, and then this value.
                check_value(value, 5).map_err(|_| UNREADABLE)?;
                continue;
            }
        };
        match value {
            RawBsonRef::String(value) => set(text, Borrowed(value.into()))?,
            RawBsonRef::Null => {}
            _ => return Err(UNREADABLE),
        }
    }
    Ok(entry)
}

/// Sets a field that may come only once.
fn set<T>(field: &mut Option<T>, value: T) -> Result<(), Reason> {
    match field.replace(value) {
        None => Ok(()),
        Some(_) => Err(UNREADABLE),
    }
}
