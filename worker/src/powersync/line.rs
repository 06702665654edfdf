//! One line of a sync stream, whole and unread.

use bytes::Bytes;

/// How a stream separates its lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineFormat {
    /// BSON documents, which begin with their length.
    Bson,
    /// JSON texts, each with a newline after it.
    Ndjson,
}

/// One whole line of a stream.
#[derive(Debug, Clone)]
pub struct Line {
    /// Its format.
    pub format: LineFormat,
    /// The BSON document, or the JSON text without its newline.
    pub bytes: Bytes,
}
