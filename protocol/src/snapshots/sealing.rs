//! The keys of sealed snapshots: each snapshot has a random one, which its manifest holds wrapped.
//!
//! A key is wrapped with AES-256-GCM by the first key of `snapshots.sealing_key`, and unwrapped by any of them; so a new
//! one is put in front of the list, and an old one is removed when no snapshot needs it any more. Store and job are
//! authenticated with it: no key can be moved to another manifest. No key is ever printed.

use std::{fmt, str::FromStr};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    rand,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, de};

use crate::{
    digest::{from_hex, hex, sha256_hex},
    ids::{JobId, StoreId},
    manifest::{Manifest, WrappedKey},
    settings::list,
};

/// The bytes of every key.
const KEY_BYTES: usize = 32;

/// The bytes of a digest that tell which key wrapped another.
const ID_BYTES: usize = 8;

/// Why a sealed snapshot cannot be opened, or a new one not be sealed. Repeats no key.
#[derive(Debug, thiserror::Error)]
pub enum SealingError {
    /// No key can be wrapped or unwrapped.
    #[error("snapshots.sealing_key is missing: set it to the key that the workers have")]
    NoSealingKey,
    /// The list lacks the key.
    #[error(
        "snapshots.sealing_key lacks the key {by:?}, which wrapped the key of this snapshot: add it to the end of the list"
    )]
    UnknownKey { by: String },
    /// The manifest has no key.
    #[error("the manifest of this sealed snapshot has no key; seed the store again")]
    NoKey,
    /// The wrapped key is not what was wrapped for this snapshot.
    #[error("the key in the manifest is damaged, or of another snapshot; seed the store again")]
    Damaged,
    /// The system has no random numbers, or the library fails.
    #[error("cannot make or wrap a key")]
    Failed,
}

/// The key of one sealed snapshot.
#[derive(Clone, PartialEq, Eq)]
pub struct SnapshotKey([u8; KEY_BYTES]);

impl SnapshotKey {
    /// Returns a random key.
    ///
    /// # Errors
    /// [`SealingError::Failed`] when the system has no random numbers.
    pub fn random() -> Result<Self, SealingError> {
        let mut key = [0; KEY_BYTES];
        rand::fill(&mut key).map_err(|_| SealingError::Failed)?;
        Ok(Self(key))
    }

    /// Returns its bytes. Keep them out of logs, errors and messages.
    pub fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// Returns it in hex, as clients get it. Keep it out of logs, errors and messages.
    pub fn expose_hex(&self) -> String {
        hex(&self.0)
    }
}

impl FromStr for SnapshotKey {
    type Err = SealingError;

    /// Reads it as [`Self::expose_hex`] writes it, or in base64.
    fn from_str(text: &str) -> Result<Self, SealingError> {
        decoded(text).map(Self).ok_or(SealingError::Damaged)
    }
}

impl fmt::Debug for SnapshotKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SnapshotKey(…)")
    }
}

/// `snapshots.sealing_key`: the first key wraps, each of them unwraps.
#[derive(Clone, Default)]
pub struct SealingKeys(Vec<[u8; KEY_BYTES]>);

impl SealingKeys {
    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Wraps the key of a snapshot with the first key.
    ///
    /// # Errors
    /// [`SealingError`]
    pub fn wrap(
        &self,
        key: &SnapshotKey,
        store_id: &StoreId,
        job_id: JobId,
    ) -> Result<WrappedKey, SealingError> {
        let sealing = self.0.first().ok_or(SealingError::NoSealingKey)?;
        let mut wrapped = key.0.to_vec();
        let nonce = cipher(sealing)?
            .seal_in_place_append_tag(subject(store_id, job_id), &mut wrapped)
            .map_err(|_| SealingError::Failed)?;
        Ok(WrappedKey {
            by: id(sealing),
            key: STANDARD.encode([&nonce.as_ref()[..], &wrapped].concat()),
        })
    }

    /// Returns the key of the snapshot that `manifest`, as it is in object storage, describes.
    ///
    /// # Errors
    /// [`SealingError`]
    pub fn unwrap(&self, manifest: &Manifest) -> Result<SnapshotKey, SealingError> {
        let wrapped = manifest.sealed_key.as_ref().ok_or(SealingError::NoKey)?;
        self.unwrap_key(wrapped, &manifest.store_id, manifest.job_id)
    }

    fn unwrap_key(
        &self,
        wrapped: &WrappedKey,
        store_id: &StoreId,
        job_id: JobId,
    ) -> Result<SnapshotKey, SealingError> {
        if self.is_empty() {
            return Err(SealingError::NoSealingKey);
        }
        let sealing = self.0.iter().find(|key| id(key) == wrapped.by);
        let sealing = sealing.ok_or_else(|| SealingError::UnknownKey {
            by: wrapped.by.clone(),
        })?;
        let damaged = |()| SealingError::Damaged;
        let bytes = STANDARD.decode(&wrapped.key).map_err(|_| damaged(()))?;
        let (nonce, key) = bytes.split_first_chunk::<NONCE_LEN>().ok_or(damaged(()))?;
        let mut key = key.to_vec();
        let opened = cipher(sealing)?
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                subject(store_id, job_id),
                &mut key,
            )
            .map_err(|_| damaged(()))?;
        let key: [u8; KEY_BYTES] = (&*opened).try_into().map_err(|_| damaged(()))?;
        Ok(SnapshotKey(key))
    }
}

impl fmt::Debug for SealingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKeys({} …)", self.0.len())
    }
}

impl<'de> Deserialize<'de> for SealingKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Texts(#[serde(deserialize_with = "list")] Vec<String>);
        // An empty variable is none.
        let keys = Option::<Texts>::deserialize(deserializer)?;
        let keys = keys.map_or_else(Vec::new, |Texts(keys)| keys);
        let keys = keys.iter().enumerate().map(|(index, key)| {
            decoded(key).ok_or_else(|| {
                de::Error::custom(format!(
                    "key {} of the list is not {KEY_BYTES} bytes in hex or base64; `openssl rand -hex {KEY_BYTES}` makes one",
                    index + 1
                ))
            })
        });
        keys.collect::<Result<_, _>>().map(Self)
    }
}

/// Reads a key that is written as 64 hex digits or in base64.
fn decoded(text: &str) -> Option<[u8; KEY_BYTES]> {
    let text = text.trim();
    let bytes = match text.len() == 2 * KEY_BYTES {
        true => from_hex(text)?,
        false => STANDARD.decode(text).ok()?,
    };
    bytes.try_into().ok()
}

fn cipher(key: &[u8; KEY_BYTES]) -> Result<RandomizedNonceKey, SealingError> {
    RandomizedNonceKey::new(&AES_256_GCM, key).map_err(|_| SealingError::Failed)
}

/// Returns what is authenticated with a wrapped key.
fn subject(store_id: &StoreId, job_id: JobId) -> Aad<String> {
    Aad::from(format!("seedbed snapshot key 1\n{job_id}\n{store_id}"))
}

/// Returns what tells a key without telling anything of it.
fn id(key: &[u8; KEY_BYTES]) -> String {
    sha256_hex(key)[..2 * ID_BYTES].to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const OLD: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    const NEW: &str = "/+7dzLuqmYh3ZlVEMyIRAP/u3cy7qpmId2ZVRDMiEQA=";

    fn keys(value: serde_json::Value) -> SealingKeys {
        serde_json::from_value(value).unwrap()
    }

    fn wrapped(keys: &SealingKeys, key: &SnapshotKey) -> (StoreId, JobId, WrappedKey) {
        let (store, job) = (StoreId::new("7").unwrap(), JobId::new());
        let wrapped = keys.wrap(key, &store, job).unwrap();
        (store, job, wrapped)
    }

    #[test]
    fn the_first_key_wraps_and_each_of_them_unwraps() {
        let key = SnapshotKey::random().unwrap();
        let (store, job, wrapped) = wrapped(&keys(json!(OLD)), &key);
        let rotated = keys(json!(format!("{NEW}, {OLD}")));
        assert_eq!(rotated.unwrap_key(&wrapped, &store, job).unwrap(), key);
        let again = rotated.wrap(&key, &store, job).unwrap();
        assert_ne!(again.by, wrapped.by);
        let new = keys(json!([NEW]));
        assert_eq!(new.unwrap_key(&again, &store, job).unwrap(), key);
        let refused = new.unwrap_key(&wrapped, &store, job).unwrap_err();
        assert!(refused.to_string().contains(&wrapped.by), "{refused}");
        let none = SealingKeys::default();
        assert!(matches!(
            none.unwrap_key(&again, &store, job),
            Err(SealingError::NoSealingKey)
        ));
        assert!(matches!(
            none.wrap(&key, &store, job),
            Err(SealingError::NoSealingKey)
        ));
    }

    #[test]
    fn a_wrapped_key_is_good_for_its_own_snapshot_alone_and_unchanged() {
        let keys = keys(json!(OLD));
        let key = SnapshotKey::random().unwrap();
        let (store, job, wrapped) = wrapped(&keys, &key);
        let damaged = |wrapped: &WrappedKey, store: &StoreId, job| {
            let found = keys.unwrap_key(wrapped, store, job);
            assert!(matches!(found, Err(SealingError::Damaged)), "{found:?}");
        };
        damaged(&wrapped, &store, JobId::new());
        damaged(&wrapped, &StoreId::new("8").unwrap(), job);
        let mut bytes = STANDARD.decode(&wrapped.key).unwrap();
        bytes[20] ^= 1;
        for key in [
            STANDARD.encode(&bytes),
            STANDARD.encode(&bytes[..11]),
            "?".to_owned(),
        ] {
            let by = wrapped.by.clone();
            damaged(&WrappedKey { by, key }, &store, job);
        }
    }

    #[test]
    fn no_key_is_printed() {
        let key: SnapshotKey = OLD.parse().unwrap();
        assert_eq!(key.expose_hex(), OLD);
        assert!(!format!("{key:?} {:?}", keys(json!(OLD))).contains("0011"));
        for malformed in [
            json!("0123"),
            json!(format!("{OLD},{}", &OLD[2..])),
            json!([1, 2]),
        ] {
            let refused = serde_json::from_value::<SealingKeys>(malformed).unwrap_err();
            assert!(!refused.to_string().contains("2233"), "{refused}");
        }
    }
}
