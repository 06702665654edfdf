//! Cuts the bytes of a sync stream into lines.

use bytes::{Buf, Bytes, BytesMut};

use super::{
    error::StreamError,
    line::{Line, LineFormat},
};

/// The largest line that is accepted unless another limit is set, in bytes. The service cuts data lines at about 1 MiB, but
/// a single row may be larger: its limit is 15 MiB.
pub const MAX_LINE_BYTES: usize = 64 << 20;

/// How many bytes one read may bring.
const READ_BYTES: usize = 64 << 10;

/// Bytes that have arrived and are not a whole line yet.
pub struct LineBuffer {
    format: LineFormat,
    bytes: BytesMut,
    /// Up to here there is no newline.
    searched: usize,
    most: usize,
}

impl LineBuffer {
    /// Returns an empty buffer that accepts lines of up to [`MAX_LINE_BYTES`].
    pub fn new(format: LineFormat) -> Self {
        Self::up_to(format, MAX_LINE_BYTES)
    }

    /// Returns an empty buffer that accepts lines of at most `most` bytes.
    pub(super) fn up_to(format: LineFormat, most: usize) -> Self {
        Self {
            format,
            bytes: BytesMut::new(),
            searched: 0,
            most,
        }
    }

    /// Returns whether every byte that arrived was taken.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Returns where to append the next bytes. Take all lines first: then the buffer never holds much more than the
    /// largest line.
    pub fn room(&mut self) -> &mut BytesMut {
        self.bytes.reserve(READ_BYTES);
        &mut self.bytes
    }

    /// Cuts one whole line from the front, if there is one. Skips blank lines.
    ///
    /// # Errors
    /// [`StreamError::Malformed`] when the bytes are no line, [`StreamError::LineTooLong`].
    pub fn take(&mut self) -> Result<Option<Line>, StreamError> {
        loop {
            self.skip_blank_lines();
            let whole = match self.format {
                LineFormat::Bson => self.bson_length()?,
                LineFormat::Ndjson => self.ndjson_length(),
            };
            if whole.unwrap_or(self.bytes.len()) > self.most {
                return Err(StreamError::LineTooLong { most: self.most });
            }
            let Some(length) = whole.filter(|length| *length <= self.bytes.len()) else {
                return Ok(None);
            };
            let bytes = self.cut(length);
            if !bytes.is_empty() {
                return Ok(Some(Line {
                    format: self.format,
                    bytes,
                }));
            }
        }
    }

    /// Drops newlines from the front, all at once: a compressed megabyte of them is a few bytes.
    fn skip_blank_lines(&mut self) {
        if self.format == LineFormat::Ndjson && self.searched == 0 {
            let line = self.bytes.iter().position(|byte| *byte != b'\n');
            self.bytes.advance(line.unwrap_or(self.bytes.len()));
        }
    }

    fn cut(&mut self, length: usize) -> Bytes {
        let mut line = self.bytes.split_to(length).freeze();
        if self.format == LineFormat::Ndjson {
            self.searched = 0;
            line.truncate(length - 1);
        }
        line
    }

    fn bson_length(&self) -> Result<Option<usize>, StreamError> {
        if self.bytes.len() < 4 {
            return Ok(None);
        }
        let length = (&self.bytes[..4]).get_i32_le();
        // The smallest document is its length and a terminator.
        match usize::try_from(length) {
            Ok(length) if length >= 5 => Ok(Some(length)),
            _ => Err(StreamError::Malformed(format!(
                "a BSON document of {length} bytes"
            ))),
        }
    }

    fn ndjson_length(&mut self) -> Option<usize> {
        let newline = self.bytes[self.searched..]
            .iter()
            .position(|byte| *byte == b'\n');
        match newline {
            Some(offset) => Some(self.searched + offset + 1),
            None => {
                self.searched = self.bytes.len();
                None
            }
        }
    }
}
