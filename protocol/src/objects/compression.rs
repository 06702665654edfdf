//! Compresses a file as an object and decompresses it again, a piece at a time. A sealed file is an object as it is.

use std::{io, path::Path};

use async_compression::{
    Level,
    tokio::bufread::{GzipDecoder, GzipEncoder, ZstdDecoder, ZstdEncoder},
};
use tokio::{
    fs::File,
    io::{AsyncBufRead, AsyncRead, AsyncWriteExt, BufReader},
};

use crate::manifest::Encoding;

/// An object is compressed once, and comes over the slow link of every device. tests/bench/README.md has what other levels
/// bring and cost.
const GZIP_LEVEL: Level = Level::Precise(7);

/// As [`GZIP_LEVEL`].
const ZSTD_LEVEL: Level = Level::Precise(9);

/// Returns `file` as the object that holds it in this encoding.
pub fn wrap(
    encoding: Encoding,
    file: impl AsyncBufRead + Send + Unpin + 'static,
) -> Box<dyn AsyncRead + Send + Unpin> {
    match encoding {
        Encoding::Identity | Encoding::Sqlcipher4 | Encoding::Chacha20 => Box::new(file),
        Encoding::Gzip => Box::new(GzipEncoder::with_quality(file, GZIP_LEVEL)),
        Encoding::Zstd => Box::new(ZstdEncoder::with_quality(file, ZSTD_LEVEL)),
    }
}

/// Returns the file that an `object` of this encoding holds.
pub fn unwrap(
    encoding: Encoding,
    object: impl AsyncBufRead + Send + Unpin + 'static,
) -> Box<dyn AsyncRead + Send + Unpin> {
    match encoding {
        Encoding::Identity | Encoding::Sqlcipher4 | Encoding::Chacha20 => Box::new(object),
        Encoding::Gzip => Box::new(GzipDecoder::new(object)),
        Encoding::Zstd => Box::new(ZstdDecoder::new(object)),
    }
}

/// Writes the file that the local file `object` holds to `file`.
///
/// # Errors
/// When either cannot be read or written, or `object` is not in this encoding.
pub async fn unwrap_to(encoding: Encoding, object: &Path, file: &Path) -> io::Result<()> {
    let object = BufReader::new(File::open(object).await?);
    let mut file = File::create(file).await?;
    tokio::io::copy(&mut unwrap(encoding, object), &mut file).await?;
    file.flush().await
}
