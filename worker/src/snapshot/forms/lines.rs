//! Writes the lines of a stream, as JSON or as BSON, as PowerSync's service 1.25.0 does.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use bson::{RawArrayBuf, RawBson, RawDocumentBuf, raw::CStr, raw::cstr};
use serde::Serialize;
use serde_json::{
    Value, json,
    value::{RawValue, to_raw_value},
};

use super::error::FormError;
use crate::powersync::LineFormat;

/// How much is written at a time, in bytes.
const WRITE_BYTES: usize = 1 << 16;

/// The file of a stream.
pub(super) struct Lines<'a> {
    output: BufWriter<File>,
    format: LineFormat,
    target: &'a Path,
}

impl<'a> Lines<'a> {
    pub(super) fn create(target: &'a Path, format: LineFormat) -> Result<Self, FormError> {
        let output = File::create(target).map_err(|source| unwritable(target, source))?;
        Ok(Self {
            output: BufWriter::with_capacity(WRITE_BYTES, output),
            format,
            target,
        })
    }

    /// Writes a line without operations, which is an object.
    pub(super) fn control(&mut self, line: &Value) -> Result<(), FormError> {
        match self.format {
            LineFormat::Ndjson => self.write_json(line),
            LineFormat::Bson => self.write(bson(line).as_document().map(|line| line.as_bytes())),
        }
    }

    /// Writes the operations of `batch`, and begins the next line.
    pub(super) fn data(&mut self, batch: &mut Batch<'_>, has_more: bool) -> Result<(), FormError> {
        let (bucket, after, next_after) = (batch.bucket, batch.after, batch.last);
        let (after, next_after) = (after.to_string(), next_after.to_string());
        let written = match std::mem::replace(&mut batch.operations, Operations::of(self.format)) {
            Operations::Ndjson(data) => self.write_json(&JsonLine {
                data: JsonData {
                    bucket,
                    after,
                    has_more,
                    data,
                    next_after,
                },
            }),
            Operations::Bson(data) => {
                let mut body = RawDocumentBuf::new();
                body.append(cstr!("bucket"), bucket);
                body.append(cstr!("after"), after.as_str());
                body.append(cstr!("has_more"), has_more);
                body.append(cstr!("data"), data);
                body.append(cstr!("next_after"), next_after.as_str());
                let mut line = RawDocumentBuf::new();
                line.append(cstr!("data"), body);
                self.write(Some(line.as_bytes()))
            }
        };
        batch.after = batch.last;
        batch.count = 0;
        batch.bytes = 0;
        written
    }

    pub(super) fn finish(mut self) -> Result<(), FormError> {
        let flushed = self.output.flush();
        flushed.map_err(|source| unwritable(self.target, source))
    }

    fn write_json(&mut self, line: &impl Serialize) -> Result<(), FormError> {
        let written = serde_json::to_writer(&mut self.output, line).map_err(Into::into);
        let written = written.and_then(|()| self.output.write_all(b"\n"));
        written.map_err(|source| unwritable(self.target, source))
    }

    fn write(&mut self, document: Option<&[u8]>) -> Result<(), FormError> {
        let written = self.output.write_all(document.unwrap_or_default());
        written.map_err(|source| unwritable(self.target, source))
    }
}

fn unwritable(target: &Path, source: io::Error) -> FormError {
    FormError::Write {
        path: target.to_owned(),
        source,
    }
}

#[derive(Serialize)]
struct JsonLine<'a> {
    data: JsonData<'a>,
}

#[derive(Serialize)]
struct JsonData<'a> {
    bucket: &'a str,
    after: String,
    has_more: bool,
    data: Vec<Box<RawValue>>,
    next_after: String,
}

/// Operations of a bucket that become one line.
pub(super) struct Batch<'a> {
    bucket: &'a str,
    after: i64,
    last: i64,
    operations: Operations,
    pub(super) count: usize,
    pub(super) bytes: usize,
}

/// Operations as the format has them.
enum Operations {
    Ndjson(Vec<Box<RawValue>>),
    Bson(RawArrayBuf),
}

impl Operations {
    fn of(format: LineFormat) -> Self {
        match format {
            LineFormat::Ndjson => Self::Ndjson(Vec::new()),
            LineFormat::Bson => Self::Bson(RawArrayBuf::new()),
        }
    }
}

impl<'a> Batch<'a> {
    /// Begins the first line of `bucket`.
    pub(super) fn new(bucket: &'a str, format: LineFormat) -> Self {
        Self {
            bucket,
            after: 0,
            last: 0,
            operations: Operations::of(format),
            count: 0,
            bytes: 0,
        }
    }

    /// Adds the CLEAR that carries the checksum of operations that were superseded.
    pub(super) fn clear(&mut self, checksum: i32) {
        let clear = json!({ "op_id": "0", "op": "CLEAR", "checksum": checksum });
        match &mut self.operations {
            Operations::Ndjson(data) => data.push(raw(&clear)),
            Operations::Bson(data) => data.push(bson(&clear)),
        }
        self.count += 1;
    }

    pub(super) fn put(&mut self, put: &Put<'_>, op_id: i64) {
        self.bytes += match &mut self.operations {
            Operations::Ndjson(data) => {
                let json = raw(put);
                let bytes = json.get().len();
                data.push(json);
                bytes
            }
            Operations::Bson(data) => {
                let document = put.document();
                let bytes = document.as_bytes().len();
                data.push(document);
                bytes
            }
        };
        self.count += 1;
        self.last = op_id;
    }
}

fn raw(operation: &impl Serialize) -> Box<RawValue> {
    to_raw_value(operation).expect("an operation has only text keys")
}

/// A PUT as the service writes it.
#[derive(Serialize)]
pub(super) struct Put<'a> {
    pub(super) op_id: String,
    pub(super) op: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) object_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) object_id: Option<&'a str>,
    pub(super) checksum: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subkey: Option<&'a str>,
    pub(super) data: Option<&'a str>,
}

impl Put<'_> {
    fn document(&self) -> RawDocumentBuf {
        let mut document = RawDocumentBuf::new();
        let mut text = |key: &CStr, text: Option<&str>| {
            if let Some(text) = text {
                document.append(key, text);
            }
        };
        text(cstr!("op_id"), Some(&self.op_id));
        text(cstr!("op"), Some(self.op));
        text(cstr!("object_type"), self.object_type);
        text(cstr!("object_id"), self.object_id);
        text(cstr!("subkey"), self.subkey);
        document.append(cstr!("checksum"), integer(self.checksum.into()));
        match self.data {
            Some(data) => document.append(cstr!("data"), data),
            None => document.append(cstr!("data"), RawBson::Null),
        }
        document
    }
}

/// Returns a whole number as the service writes it: an int32 where it fits, a double otherwise.
fn integer(number: i64) -> RawBson {
    match i32::try_from(number) {
        Ok(number) => RawBson::Int32(number),
        Err(_) => RawBson::Double(number as f64),
    }
}

/// Returns the JSON as BSON. No key of a line has a zero byte.
fn bson(json: &Value) -> RawBson {
    match json {
        Value::Null => RawBson::Null,
        Value::Bool(value) => RawBson::Boolean(*value),
        Value::Number(number) => match number.as_i64() {
            Some(number) => integer(number),
            None => RawBson::Double(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => RawBson::String(text.clone()),
        Value::Array(items) => {
            let mut array = RawArrayBuf::new();
            items.iter().for_each(|item| array.push(bson(item)));
            RawBson::Array(array)
        }
        Value::Object(members) => {
            let mut document = RawDocumentBuf::new();
            for (name, value) in members {
                if let Ok(name) = <&CStr>::try_from(name.as_str()) {
                    document.append(name, bson(value));
                }
            }
            RawBson::Document(document)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_int32_where_they_fit_and_doubles_otherwise() {
        for (number, expected) in [
            (0, RawBson::Int32(0)),
            (-186_988_966, RawBson::Int32(-186_988_966)),
            (4_166_481_289_i64, RawBson::Double(4_166_481_289.0)),
        ] {
            assert_eq!(bson(&json!(number)), expected);
        }
    }
}
