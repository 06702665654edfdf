//! Ids as types of their own, so that a run is never mistaken for a job; and what a valid store id is.

use std::{fmt, num::NonZeroU32, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

/// The longest store id in bytes. It becomes part of object keys, URLs and trace attributes.
pub const MAX_STORE_ID_BYTES: usize = 255;

/// The id of one store: one partition of the data, with one snapshot lineage.
///
/// 1 to 255 bytes of text that is safe in keys, URLs, file names and logs on every platform: no control
/// characters, no `/` or `\`, no white space at either end, not `.` or `..`, not a Windows device name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StoreId(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidStoreId {
    #[error("the store id is empty")]
    Empty,
    /// Longer than [`MAX_STORE_ID_BYTES`]; shows how it begins.
    #[error("the store id {start:?}… has {bytes} bytes; at most {MAX_STORE_ID_BYTES} are allowed")]
    TooLong { start: String, bytes: usize },
    /// A character that is not safe in keys, URLs, file names or logs.
    #[error(
        "the store id {id:?} contains {character:?}; '/', '\\' and control characters are not allowed"
    )]
    Character { id: String, character: char },
    /// White space at an end, which systems treat differently.
    #[error("the store id {0:?} begins or ends with white space")]
    Whitespace(String),
    /// `.`, `..` or a device name such as `CON`.
    #[error(
        "the store id {0:?} is a reserved file name on some platforms and cannot name a snapshot"
    )]
    Reserved(String),
}

impl StoreId {
    /// Checks `id` and takes it.
    ///
    /// # Errors
    /// [`InvalidStoreId`] names the text and the rule that it breaks.
    pub fn new(id: impl Into<String>) -> Result<Self, InvalidStoreId> {
        let id = id.into();
        if id.is_empty() {
            return Err(InvalidStoreId::Empty);
        }
        if id.len() > MAX_STORE_ID_BYTES {
            let start = id.chars().take(12).collect();
            return Err(InvalidStoreId::TooLong {
                start,
                bytes: id.len(),
            });
        }
        let unsafe_character = |c: char| c.is_control() || c == '/' || c == '\\';
        if let Some(character) = id.chars().find(|&c| unsafe_character(c)) {
            return Err(InvalidStoreId::Character { id, character });
        }
        if id.trim() != id {
            return Err(InvalidStoreId::Whitespace(id));
        }
        if is_reserved_file_name(&id) {
            return Err(InvalidStoreId::Reserved(id));
        }
        Ok(Self(id))
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `.`, `..`, and the device names that Windows reserves with any extension.
fn is_reserved_file_name(name: &str) -> bool {
    if matches!(name, "." | "..") {
        return true;
    }
    let stem = name
        .split('.')
        .next()
        .unwrap_or_default()
        .to_ascii_uppercase();
    match stem.as_str() {
        "CON" | "PRN" | "AUX" | "NUL" => true,
        _ => {
            let number = stem
                .strip_prefix("COM")
                .or_else(|| stem.strip_prefix("LPT"));
            number.is_some_and(|n| n.len() == 1 && n.as_bytes()[0].is_ascii_digit())
        }
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for StoreId {
    type Err = InvalidStoreId;
    fn from_str(id: &str) -> Result<Self, Self::Err> {
        Self::new(id)
    }
}

impl TryFrom<String> for StoreId {
    type Error = InvalidStoreId;
    fn try_from(id: String) -> Result<Self, Self::Error> {
        Self::new(id)
    }
}

impl From<StoreId> for String {
    fn from(id: StoreId) -> Self {
        id.0
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Returns a new id; ids sort by the time at which they were made (UUID version 7).
            #[allow(clippy::new_without_default)]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// Returns the id with these bits, for tests and stored ids.
            pub const fn from_uuid(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(id: &str) -> Result<Self, Self::Err> {
                id.parse().map(Self)
            }
        }
    };
}

uuid_id!(
    /// One sweep over stores.
    RunId
);
uuid_id!(
    /// One store within one run.
    JobId
);

/// The first 48 of the 128 bits of an id are the milliseconds of its time.
const MILLISECOND: u128 = 1 << 80;

impl JobId {
    /// Returns the id that sorts before all that are made at `time` or later.
    pub fn first_at(time: DateTime<Utc>) -> Self {
        let millis = u128::try_from(time.timestamp_millis()).unwrap_or_default();
        Self(Uuid::from_u128(millis * MILLISECOND))
    }

    /// Returns a new id that sorts after `earlier`, also if that one was made by a clock that is ahead.
    pub fn after(earlier: Self) -> Self {
        let id = Self::new();
        if id > earlier {
            return id;
        }
        // The rest of the new id keeps it unique.
        let millis = (earlier.0.as_u128() / MILLISECOND + 1) * MILLISECOND;
        Self(Uuid::from_u128(millis + id.0.as_u128() % MILLISECOND))
    }

    /// Returns whether it is one of so many, by chance; never of 0.
    pub fn is_one_in(self, so_many: u32) -> bool {
        // The last bits of an id are random.
        so_many > 0 && self.0.as_u128().is_multiple_of(u128::from(so_many))
    }

    /// Returns when it was made, by the clock of its coordinator.
    pub fn made_at(self) -> DateTime<Utc> {
        let millis = i64::try_from(self.0.as_u128() / MILLISECOND).unwrap_or_default();
        DateTime::from_timestamp_millis(millis).unwrap_or_default()
    }
}

/// The number of an attempt at a job, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Attempt(NonZeroU32);

impl Attempt {
    /// The first attempt.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// Returns the attempt with this number; `None` for 0.
    pub fn new(number: u32) -> Option<Self> {
        NonZeroU32::new(number).map(Self)
    }

    /// Returns the attempt after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Returns its number, from 1.
    pub fn get(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A position in PowerSync's operation log. The service writes it as a decimal text in both of its
/// formats, and so does Seedbed in JSON, whose numbers lose digits in many programs; the core extension keeps
/// it as a signed 64-bit integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct OpId(pub i64);

impl Serialize for OpId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_i64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for OpId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return i64::deserialize(deserializer).map(Self);
        }
        let text = String::deserialize(deserializer)?;
        text.parse()
            .map(Self)
            .map_err(|_| de::Error::custom(format!("{text:?} is not an op id")))
    }
}

impl fmt::Display for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_after_another_sorts_after_it_whatever_the_clock_says() {
        let ahead = JobId::from_uuid(Uuid::from_u128(
            JobId::new().0.as_u128() + (3_600_000 << 80),
        ));
        let later = JobId::after(ahead);
        assert!(later > ahead && later.0.get_version_num() == 7);
        assert!(JobId::after(later) > later);
        assert!(JobId::after(JobId::from_uuid(Uuid::nil())) <= JobId::new());
    }

    #[test]
    fn ordinary_ids_are_taken_as_they_are() {
        for id in [
            "1",
            "store-7",
            "A b",
            "größe",
            "00000000-0000-4000-8000-000000000001",
            "a.b",
            "console",
        ] {
            assert_eq!(StoreId::new(id).unwrap().as_str(), id);
        }
    }

    #[test]
    fn ids_that_are_unsafe_somewhere_are_refused_by_name() {
        let refused = |id: &str| StoreId::new(id).unwrap_err().to_string();
        assert!(refused("").contains("empty"));
        assert!(refused("../../x").contains("../../x"));
        assert!(refused("a\\b").contains("'\\\\'"));
        assert!(refused("a\nb").contains("'\\n'"));
        assert!(refused(" a").contains("white space"));
        assert!(refused("..").contains("reserved"));
        for device in ["CON", "con", "Nul.txt", "COM1", "lpt9"] {
            assert!(refused(device).contains("reserved"), "{device}");
        }
        let emoji = "😀".repeat(75);
        assert!(refused(&emoji).contains("300 bytes"));
    }

    #[test]
    fn a_bad_store_id_cannot_enter_through_serde() {
        assert!(serde_json::from_str::<StoreId>("\"../x\"").is_err());
        assert_eq!(
            serde_json::from_str::<StoreId>("\"x\"").unwrap().as_str(),
            "x"
        );
    }
}
