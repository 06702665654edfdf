//! The stream's lines in both formats, BSON and JSON.

mod bson;
mod format;
mod json;
pub(crate) mod line;
