//! Encodes lines in the format that a client accepts.
//!
//! Data lines are nearly all of the traffic, so they are written straight into a buffer; the few other lines go
//! through [`serde_json::Value`].

use serde_json::Value;

use crate::{
    request::Format,
    wire::{bson, json, line::DataLine},
};

impl Format {
    /// Encodes a line that is not data.
    pub(crate) fn line(self, line: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Bson => bson::document(&mut out, |out| bson::fields(out, line)),
            Self::Ndjson => {
                json::value(&mut out, line);
                out.push(b'\n');
            }
        }
        out
    }

    /// Encodes a data line.
    pub(crate) fn data_line(self, line: &DataLine<'_>) -> Vec<u8> {
        match self {
            Self::Bson => bson::data_line(line),
            Self::Ndjson => json::data_line(line),
        }
    }
}
