//! Decodes a data line of an NDJSON stream, in one pass.

use std::fmt;

use bytes::Bytes;
use serde::{
    Deserializer,
    de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::{
    batch::{Batch, Operation, Reason, Text},
    entry::{Borrowed, Entry, Origin, UNREADABLE, set},
};

pub(super) fn decode(bytes: &Bytes) -> Result<Batch, Reason> {
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
