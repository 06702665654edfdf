//! The key of a sealed snapshot, as a manifest has it.

use serde::{Deserialize, Serialize};

/// The key of a sealed snapshot, encrypted with one of `snapshots.sealing_key`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrappedKey {
    /// Which of the keys unwraps it: the first 8 bytes of SHA-256 over that key, in hex.
    pub by: String,
    /// Nonce, 32 encrypted bytes and tag of AES-256-GCM, in base64. The job is authenticated with them.
    pub key: String,
}
