//! The body of a sync stream: decompressed and cut into lines.
//!
//! A compressed body may be a million times as long as what arrives, and may hold nothing at all: reading pauses for the
//! other jobs of the worker, and ends when too much comes without an operation.

use std::time::Duration;

use async_compression::{
    tokio::bufread::{GzipDecoder, ZstdDecoder},
    zstd::DParameter,
};
use futures::TryStreamExt;
use reqwest::{Response, header};
use seedbed_protocol::error::causes;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_util::io::StreamReader;

use super::{
    error::StreamError,
    framing::LineBuffer,
    line::{Line, LineFormat},
};

/// Bytes, after decompression, that a stream may send without an operation. The longest checkpoint
/// line has a quarter of it.
pub const MAX_BYTES_WITHOUT_OPERATION: u64 = 256 << 20;

/// Lines that a stream may send without an operation: a keepalive comes every 20 s.
const MAX_LINES_WITHOUT_OPERATION: u64 = 100_000;

/// So many bytes are decompressed before the other jobs of the worker get their turn.
const BYTES_PER_TURN: usize = 1 << 20;

/// The largest window that zstd may ask for, as a power of two: RFC 9659 allows 8 MiB in HTTP. The decoder would take 128
/// MiB.
const WINDOW_LOG: u32 = 23;

/// The lines of one open stream.
pub struct Lines {
    body: Box<dyn AsyncRead + Send + Unpin>,
    buffer: LineBuffer,
    idle_timeout: Duration,
    /// Bytes since the last operation, the buffered ones included.
    without_operation: u64,
    lines_without_operation: u64,
    /// Bytes since the other jobs had their turn.
    in_turn: usize,
}

impl Lines {
    /// Reads the lines of an answer, each of at most `max_line` bytes.
    pub(super) fn new(
        format: LineFormat,
        response: Response,
        max_line: usize,
        idle_timeout: Duration,
    ) -> Self {
        Self {
            body: body_reader(response),
            buffer: LineBuffer::up_to(format, max_line),
            idle_timeout,
            without_operation: 0,
            lines_without_operation: 0,
            in_turn: 0,
        }
    }

    /// Returns the next line; `None` when the body ended after a whole line.
    ///
    /// # Errors
    /// [`StreamError::Dropped`], [`StreamError::Idle`], [`StreamError::Malformed`] or [`StreamError::LineTooLong`]; the stream
    /// is over then.
    pub async fn next(&mut self) -> Result<Option<Line>, StreamError> {
        loop {
            if let Some(line) = self.buffer.take()? {
                self.lines_without_operation += 1;
                if self.lines_without_operation > MAX_LINES_WITHOUT_OPERATION {
                    return Err(too_much(MAX_LINES_WITHOUT_OPERATION, "lines"));
                }
                return Ok(Some(line));
            }
            if self.in_turn >= BYTES_PER_TURN {
                self.in_turn = 0;
                tokio::task::yield_now().await;
            }
            let read = self.body.read_buf(self.buffer.room());
            let read = tokio::time::timeout(self.idle_timeout, read).await;
            let read = read.map_err(|_| StreamError::Idle(self.idle_timeout))?;
            match read.map_err(|e| StreamError::Dropped(e.to_string()))? {
                0 if self.buffer.is_empty() => return Ok(None),
                0 => {
                    return Err(StreamError::Dropped(
                        "the body ended in the middle of a line".to_owned(),
                    ));
                }
                bytes => self.count(bytes)?,
            }
        }
    }

    /// Records that the last line had an operation.
    pub fn operation_arrived(&mut self) {
        self.without_operation = 0;
        self.lines_without_operation = 0;
    }

    fn count(&mut self, bytes: usize) -> Result<(), StreamError> {
        self.in_turn += bytes;
        self.without_operation += bytes as u64;
        if self.without_operation > MAX_BYTES_WITHOUT_OPERATION {
            return Err(too_much(MAX_BYTES_WITHOUT_OPERATION, "bytes"));
        }
        Ok(())
    }
}

fn too_much(limit: u64, what: &str) -> StreamError {
    StreamError::Malformed(format!("more than {limit} {what} without an operation"))
}

/// Returns the body of an answer, decompressed.
pub(super) fn body_reader(response: Response) -> Box<dyn AsyncRead + Send + Unpin> {
    let encoding = header_text(&response, header::CONTENT_ENCODING);
    let chunks = response
        .bytes_stream()
        .map_err(|e| std::io::Error::other(causes(&e)));
    let raw = StreamReader::new(chunks);
    match encoding.trim() {
        "zstd" => {
            let mut decoder =
                ZstdDecoder::with_params(raw, &[DParameter::window_log_max(WINDOW_LOG)]);
            decoder.multiple_members(true);
            Box::new(decoder)
        }
        "gzip" => {
            let mut decoder = GzipDecoder::new(raw);
            decoder.multiple_members(true);
            Box::new(decoder)
        }
        _ => Box::new(raw),
    }
}

/// Returns a header's value; an empty text when it is missing.
pub(super) fn header_text(response: &Response, name: header::HeaderName) -> String {
    let value = response
        .headers()
        .get(name)
        .map(header::HeaderValue::as_bytes);
    String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
}
