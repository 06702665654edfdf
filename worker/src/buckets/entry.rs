//! An entry of the cache: which operations of which bucket it has, and what proves that.

use std::time::Duration;

use aws_lc_rs::hmac;
use chrono::{DateTime, Utc};
use seedbed_protocol::{
    digest::{Hashed, from_hex, hex},
    settings::Secret,
};
use serde::{Deserialize, Serialize};

/// The layout of entries.
const VERSION: u32 = 2;

/// Why an entry is dropped. Its bucket is downloaded then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// It is no entry, or one of another layout.
    #[error("it cannot be read")]
    Unreadable,
    /// It was not made with `buckets.secret`, or was altered.
    #[error("its HMAC is wrong: it was altered, or made with another buckets.secret")]
    Mac,
    /// It is not of this service's endpoint.
    #[error("it is of another endpoint")]
    Endpoint,
    /// It is older than `buckets.keep`.
    #[error("it is too old")]
    Age,
    /// Its operations are not those that were stored.
    #[error("its operations are gone or altered")]
    Content,
    /// The operation after its last is another one: it is of another service behind the same URL, or the service has
    /// compacted the bucket.
    #[error("the service goes on with another operation")]
    Proof,
    /// The bucket's checksum is not the service's.
    #[error("the bucket's checksum is wrong with it")]
    Checksum,
}

impl EntryError {
    /// Returns its kind as one short word, for metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Mac => "mac",
            Self::Endpoint => "endpoint",
            Self::Age => "age",
            Self::Content => "content",
            Self::Proof => "proof",
            Self::Checksum => "checksum",
        }
    }
}

/// The object that holds an entry's operations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) key: String,
    /// As it is stored, compressed.
    pub(super) object: Hashed,
}

/// Describes the operations of a bucket, from the first up to [`Self::after`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) version: u32,
    /// The service's URL.
    pub(super) endpoint: String,
    /// The bucket's name, which begins with the generation of the sync config.
    pub(super) bucket: String,
    /// The id of the last operation.
    pub(super) after: i64,
    /// The SHA-256 of the operation that follows, which the service has to send to each store.
    pub(super) next: String,
    pub(super) operations: u64,
    /// The lines.
    pub(super) content: Hashed,
    pub(super) made_at: DateTime<Utc>,
    pub(super) stored: Option<Stored>,
    /// The HMAC-SHA-256 of all the rest, in hex; the digest of the lines is a part of it.
    pub(super) mac: String,
}

impl Entry {
    /// Returns an entry that is made now, without its HMAC.
    pub(super) fn new(
        endpoint: &str,
        bucket: &str,
        (after, next): (i64, String),
        operations: u64,
        content: Hashed,
    ) -> Self {
        Self {
            version: VERSION,
            endpoint: endpoint.to_owned(),
            bucket: bucket.to_owned(),
            after,
            next,
            operations,
            content,
            made_at: Utc::now(),
            stored: None,
            mac: String::new(),
        }
    }

    /// Returns whether it was made longer ago than `keep`.
    pub(super) fn is_older_than(&self, keep: Duration) -> bool {
        let age = Utc::now() - self.made_at;
        age.to_std().is_ok_and(|age| age > keep)
    }

    /// Returns its JSON with the HMAC by `key`.
    pub(super) fn sign(&mut self, key: &MacKey) -> Vec<u8> {
        let tag = hmac::sign(&key.0, &self.authenticated());
        self.mac = hex(tag.as_ref());
        serde_json::to_vec(self).expect("texts and numbers are JSON")
    }

    /// Reads an entry that was signed with `key`.
    ///
    /// # Errors
    /// [`EntryError::Unreadable`], [`EntryError::Mac`].
    pub(super) fn read(json: &[u8], key: &MacKey) -> Result<Self, EntryError> {
        let entry: Self = serde_json::from_slice(json).map_err(|_| EntryError::Unreadable)?;
        if entry.version != VERSION {
            return Err(EntryError::Unreadable);
        }
        let mac = from_hex(&entry.mac).ok_or(EntryError::Mac)?;
        let verified = hmac::verify(&key.0, &entry.authenticated(), &mac);
        verified.map_err(|_| EntryError::Mac)?;
        Ok(entry)
    }

    fn authenticated(&self) -> Vec<u8> {
        let without = Self {
            mac: String::new(),
            ..self.clone()
        };
        serde_json::to_vec(&without).expect("texts and numbers are JSON")
    }
}

/// `buckets.secret`, ready to sign with.
#[derive(Debug, Clone)]
pub(super) struct MacKey(hmac::Key);

impl MacKey {
    pub(super) fn new(secret: &Secret) -> Self {
        Self(hmac::Key::new(
            hmac::HMAC_SHA256,
            secret.expose().as_bytes(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        let content = Hashed {
            bytes: 3,
            sha256: "ab".to_owned(),
        };
        Entry::new("http://a", "1#b[]", (7, "cd".to_owned()), 5, content)
    }

    #[test]
    fn every_field_is_authenticated() {
        let key = MacKey::new(&Secret::new("a secret"));
        let signed = entry().sign(&key);
        let whole: serde_json::Value = serde_json::from_slice(&signed).unwrap();
        assert!(Entry::read(&signed, &key).is_ok());
        let other = MacKey::new(&Secret::new("another secret"));
        assert_eq!(Entry::read(&signed, &other), Err(EntryError::Mac));
        for (field, altered) in [
            ("endpoint", serde_json::json!("http://b")),
            ("bucket", serde_json::json!("1#c[]")),
            ("after", serde_json::json!(6)),
            ("next", serde_json::json!("ce")),
            ("operations", serde_json::json!(6)),
            ("content", serde_json::json!({ "bytes": 3, "sha256": "ac" })),
            ("made_at", serde_json::json!("2020-01-01T00:00:00Z")),
            ("mac", serde_json::json!("")),
        ] {
            let mut changed = whole.clone();
            changed[field] = altered;
            let read = Entry::read(changed.to_string().as_bytes(), &key);
            assert_eq!(read, Err(EntryError::Mac), "{field}");
        }
        assert_eq!(
            Entry::read(&signed[..20], &key),
            Err(EntryError::Unreadable)
        );
    }
}
