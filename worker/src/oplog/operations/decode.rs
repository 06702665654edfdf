//! Decodes a data line of either format.

use super::{
    batch::{Batch, Reason},
    bson, json,
};
use crate::powersync::{Line, LineFormat};

/// The core extension's own bucket, which no service has.
const LOCAL_BUCKET: &str = "$local";

/// Decodes a data line, in one pass.
///
/// # Errors
/// Why it is left to the core extension.
pub fn decode(line: &Line) -> Result<Batch, Reason> {
    let batch = match line.format {
        LineFormat::Bson => bson::decode(&line.bytes)?,
        LineFormat::Ndjson => json::decode(&line.bytes)?,
    };
    if batch.bucket() == LOCAL_BUCKET {
        return Err("a bucket that is not the service's");
    }
    Ok(batch)
}
