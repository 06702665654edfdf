//! SHA-256 digests as lower-case hex: of a text, and of what is written or read a piece at a time.

use std::{
    fmt::Write as _,
    io::{self, Read, Write},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Returns the SHA-256 of `data` in hex.
pub fn sha256_hex(data: impl AsRef<[u8]>) -> String {
    hex(&Sha256::digest(data))
}

/// The size and the digest of some content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hashed {
    /// Bytes.
    pub bytes: u64,
    /// SHA-256, in hex.
    pub sha256: String,
}

impl Hashed {
    /// Hashes everything that `content` yields, in constant memory. Blocks.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(mut content: impl Read) -> io::Result<Self> {
        let mut hasher = Hasher::default();
        io::copy(&mut content, &mut hasher)?;
        Ok(hasher.finish())
    }
}

/// Counts and hashes what is written to it.
#[derive(Debug, Clone, Default)]
pub struct Hasher {
    hash: Sha256,
    bytes: u64,
}

impl Hasher {
    /// Adds the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.hash.update(piece);
        self.bytes += piece.len() as u64;
    }

    /// Returns the size and the digest of all pieces.
    pub fn finish(self) -> Hashed {
        Hashed {
            bytes: self.bytes,
            sha256: hex(&self.hash.finalize()),
        }
    }
}

impl Write for Hasher {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.update(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns bytes in hex.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Returns the bytes that `text` has in hex; `None` if it is something else.
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    let bytes = pairs.map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok());
    bytes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_have_the_digest_of_the_whole() {
        let mut hasher = Hasher::default();
        hasher.update(b"a");
        hasher.write_all(b"bc").unwrap();
        let whole = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_hex("abc"), whole);
        let sha256 = whole.to_owned();
        let hashed = hasher.finish();
        assert_eq!(hashed, Hashed { bytes: 3, sha256 });
        assert_eq!(Hashed::of(&b"abc"[..]).unwrap(), hashed);
    }
}
