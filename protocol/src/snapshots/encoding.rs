//! Wrapping a SQLite file as a rendition, and unwrapping it, a piece at a time.

use async_compression::tokio::bufread::{GzipDecoder, GzipEncoder, ZstdDecoder, ZstdEncoder};
use tokio::io::{AsyncBufRead, AsyncRead};

use crate::message::Encoding;

/// `file` as the object that holds it in this encoding.
pub fn wrap(
    encoding: Encoding,
    file: impl AsyncBufRead + Send + Unpin + 'static,
) -> Box<dyn AsyncRead + Send + Unpin> {
    match encoding {
        Encoding::Identity => Box::new(file),
        Encoding::Gzip => Box::new(GzipEncoder::new(file)),
        Encoding::Zstd => Box::new(ZstdEncoder::new(file)),
    }
}

/// The SQLite file in an `object` of this encoding.
pub fn unwrap(
    encoding: Encoding,
    object: impl AsyncBufRead + Send + Unpin + 'static,
) -> Box<dyn AsyncRead + Send + Unpin> {
    match encoding {
        Encoding::Identity => Box::new(object),
        Encoding::Gzip => Box::new(GzipDecoder::new(object)),
        Encoding::Zstd => Box::new(ZstdDecoder::new(object)),
    }
}
