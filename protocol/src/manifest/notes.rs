//! What a person should know of a snapshot that is good all the same.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Notes on a snapshot: rows that no client can read, a subscription that selects nothing. Each is one line.
///
/// They came later than the layout of messages, which is frozen: in a binary codec they take no bytes, and travel as a
/// header of the message instead, which older readers ignore.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Notes(pub Vec<String>);

impl Notes {
    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Notes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            self.0.serialize(serializer)
        } else {
            serializer.serialize_unit()
        }
    }
}

impl<'de> Deserialize<'de> for Notes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            Vec::deserialize(deserializer).map(Self)
        } else {
            <()>::deserialize(deserializer).map(|()| Self::default())
        }
    }
}
