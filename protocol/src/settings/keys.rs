//! Key material as people have it: what a PEM file really holds, and how a shared secret is written.
//!
//! - In: the bytes of a file, or the text of a setting.
//! - Out: the kind of key, or why it cannot be used and the command that makes one of it that can; the bytes of a secret.
//! - No error and no reason repeats a part of the key. Nothing is kept.

mod pem;
mod secret;

pub use pem::{KeyKind, private_key, public_key};
pub use secret::{MIN_SECRET_BYTES, SecretEncoding, SecretKey};
