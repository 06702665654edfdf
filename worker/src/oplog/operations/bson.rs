//! Decodes a data line of a BSON stream, in one pass that also checks how deep it is nested.

use bson::{RawBsonRef, RawDocument};
use bytes::Bytes;

use super::{
    batch::{Batch, Reason},
    entry::{Borrowed, Entry, Origin, UNREADABLE, set},
};
use crate::oplog::{checksum::Checksum, depth::check_value};

pub(super) fn decode(bytes: &Bytes) -> Result<Batch, Reason> {
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
