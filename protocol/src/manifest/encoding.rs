//! How a file is compressed, or encrypted, as an object.

use serde::{Deserialize, Serialize};

/// How an object holds a file; the names of those that compress are those of HTTP's Content-Encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// The file itself.
    Identity,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
    /// Encrypted page by page as SQLCipher 4 does it, with its default settings and a raw key.
    Sqlcipher4,
    /// Encrypted page by page as SQLite3MultipleCiphers does it with its cipher `chacha20`, with its default settings and a
    /// raw key.
    Chacha20,
}

impl Encoding {
    /// Every encoding.
    pub const ALL: [Self; 5] = [
        Self::Identity,
        Self::Gzip,
        Self::Zstd,
        Self::Sqlcipher4,
        Self::Chacha20,
    ];

    /// Returns the name, as manifests have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Sqlcipher4 => "sqlcipher4",
            Self::Chacha20 => "chacha20",
        }
    }

    /// Returns whether it encrypts: who has no key reads nothing.
    pub fn is_sealed(self) -> bool {
        matches!(self, Self::Sqlcipher4 | Self::Chacha20)
    }

    /// Returns whether it compresses.
    pub fn is_compressed(self) -> bool {
        matches!(self, Self::Gzip | Self::Zstd)
    }
}
