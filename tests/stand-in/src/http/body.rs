//! From lines to bytes on the wire: compression, injected faults, counting.

use crate::http::session::Line;
use crate::request::Compression;
use crate::state::faults::Fault;
use crate::state::metrics::Meter;
use async_compression::tokio::write::{GzipEncoder, ZstdEncoder};
use async_stream::stream;
use axum::body::Body;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use std::io;
use std::pin::pin;
use tokio::io::AsyncWriteExt;
use tokio_util::sync::CancellationToken;

/// Where a body goes wrong.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    bytes: u64,
    then: Then,
}

#[derive(Debug, Clone, Copy)]
enum Then {
    Cut,
    End,
    Stall,
}

impl Limit {
    /// The limit that a fault puts on the body, if that is what it does.
    pub(crate) fn of(fault: &Fault) -> Option<Self> {
        let (bytes, then) = match fault {
            Fault::CutAfter { bytes } => (*bytes, Then::Cut),
            Fault::EndAfter { bytes } => (*bytes, Then::End),
            Fault::StallAfter { bytes } => (*bytes, Then::Stall),
            _ => return None,
        };
        Some(Self { bytes, then })
    }
}

/// The body of an answer, encoded line by line so that each arrives at once.
pub(crate) fn encode(
    lines: impl Stream<Item = Line> + Send + 'static,
    compression: Compression,
    limit: Option<Limit>,
    meter: Meter,
    shutdown: CancellationToken,
) -> Body {
    Body::from_stream(stream! {
        let mut lines = pin!(lines);
        let mut encoder = Encoder::new(compression);
        let mut sent = 0;
        loop {
            // A limit of 0 bytes strikes before the first line.
            if let Some(limit) = limit && sent >= limit.bytes {
                match limit.then {
                    // The connection writes out what it has while the body makes it wait.
                    Then::Cut => {
                        tokio::task::yield_now().await;
                        yield Err(io::Error::other("injected fault: the connection is cut"));
                    }
                    Then::End => {}
                    Then::Stall => shutdown.cancelled().await,
                }
                return;
            }
            let line = lines.next().await;
            let (mut bytes, operations, last) = match line {
                Some(line) => (encoder.line(line.bytes).await?, line.operations, false),
                None => (encoder.finish().await?, 0, true),
            };
            if let Some(limit) = limit {
                let left = usize::try_from(limit.bytes - sent).unwrap_or(usize::MAX);
                bytes.truncate(left);
            }
            sent += bytes.len() as u64;
            meter.sent(operations, bytes.len() as u64);
            if !bytes.is_empty() {
                yield Ok(bytes);
            }
            if last {
                return;
            }
        }
    })
}

/// Compresses a stream of lines and flushes after each.
enum Encoder {
    Plain,
    Zstd(ZstdEncoder<Vec<u8>>),
    Gzip(GzipEncoder<Vec<u8>>),
}

impl Encoder {
    fn new(compression: Compression) -> Self {
        match compression {
            Compression::None => Self::Plain,
            Compression::Zstd => Self::Zstd(ZstdEncoder::new(Vec::new())),
            Compression::Gzip => Self::Gzip(GzipEncoder::new(Vec::new())),
        }
    }

    async fn line(&mut self, line: Vec<u8>) -> io::Result<Bytes> {
        let out = match self {
            Self::Plain => return Ok(line.into()),
            Self::Zstd(encoder) => {
                encoder.write_all(&line).await?;
                encoder.flush().await?;
                encoder.get_mut()
            }
            Self::Gzip(encoder) => {
                encoder.write_all(&line).await?;
                encoder.flush().await?;
                encoder.get_mut()
            }
        };
        Ok(std::mem::take(out).into())
    }

    async fn finish(&mut self) -> io::Result<Bytes> {
        let out = match self {
            Self::Plain => return Ok(Bytes::new()),
            Self::Zstd(encoder) => {
                encoder.shutdown().await?;
                encoder.get_mut()
            }
            Self::Gzip(encoder) => {
                encoder.shutdown().await?;
                encoder.get_mut()
            }
        };
        Ok(std::mem::take(out).into())
    }
}
