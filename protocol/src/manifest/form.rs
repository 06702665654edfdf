//! The forms of a snapshot, and the kinds of its renditions: a form in an encoding.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::encoding::Encoding;

/// What a rendition is, before it is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// The SQLite file, ready to be opened.
    #[default]
    File,
    /// The SQLite file without what a device can make of the rest: it has to be finished, see [`super::Finishing`].
    Compact,
    /// One checkpoint in PowerSync's own protocol, as NDJSON.
    Stream,
    /// The same as BSON documents, which an SDK reads with less work.
    #[serde(rename = "stream-bson")]
    StreamBson,
}

impl Form {
    /// Every form, the plainest first.
    pub const ALL: [Self; 4] = [Self::File, Self::Compact, Self::Stream, Self::StreamBson];

    /// Returns the name, as manifests and settings have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Compact => "compact",
            Self::Stream => "stream",
            Self::StreamBson => "stream-bson",
        }
    }

    /// Returns the media type of its content.
    pub fn media_type(self) -> &'static str {
        match self {
            // https://www.iana.org/assignments/media-types/application/vnd.sqlite3
            Self::File | Self::Compact => "application/vnd.sqlite3",
            Self::Stream => "application/x-ndjson",
            Self::StreamBson => "application/vnd.powersync.bson-stream",
        }
    }

    /// Returns whether it is PowerSync's own protocol, in either format.
    pub fn is_stream(self) -> bool {
        matches!(self, Self::Stream | Self::StreamBson)
    }

    /// Returns whether it is [`Self::File`], which older manifests do not say.
    pub(super) fn is_file(&self) -> bool {
        *self == Self::File
    }
}

/// A form in an encoding: `file/identity`, `compact/gzip`. No snapshot has two renditions of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RenditionKind {
    pub form: Form,
    pub encoding: Encoding,
}

impl RenditionKind {
    /// Every kind: the plainest form first, and of each form the plain one. Only databases can be sealed.
    pub fn all() -> impl Iterator<Item = Self> {
        let of_form = |form| Encoding::ALL.map(|encoding| Self { form, encoding });
        let kinds = Form::ALL.into_iter().flat_map(of_form);
        kinds.filter(|kind| !kind.form.is_stream() || !kind.is_sealed())
    }

    /// Returns whether it is encrypted.
    pub fn is_sealed(self) -> bool {
        self.encoding.is_sealed()
    }

    /// Returns the kind of the SQLite file itself in this encoding.
    pub const fn file(encoding: Encoding) -> Self {
        let form = Form::File;
        Self { form, encoding }
    }

    /// Returns what HTTP clients are told of its object: the media type, and as Content-Encoding only what they may undo by
    /// themselves. iOS and browsers always do, and then the hash of what is stored fails: that is done to the file alone,
    /// as clients of older versions expect it.
    pub fn described(self) -> (&'static str, Encoding) {
        match (self.form, self.encoding) {
            (_, Encoding::Sqlcipher4 | Encoding::Chacha20) => {
                ("application/octet-stream", Encoding::Identity)
            }
            (Form::File, _) | (_, Encoding::Identity) => (self.form.media_type(), self.encoding),
            // RFC 6713 and RFC 8878.
            (_, Encoding::Gzip) => ("application/gzip", Encoding::Identity),
            (_, Encoding::Zstd) => ("application/zstd", Encoding::Identity),
        }
    }
}

impl fmt::Display for RenditionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.form.name(), self.encoding.name())
    }
}

/// No kind has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a form and an encoding, such as \"file/identity\" or \"compact/gzip\"")]
pub struct UnknownKind(String);

impl FromStr for RenditionKind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, UnknownKind> {
        let mut kinds = Self::all();
        let kind = kinds.find(|kind| kind.to_string() == name);
        kind.ok_or_else(|| UnknownKind(name.to_owned()))
    }
}

impl Serialize for RenditionKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RenditionKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_name_of_its_own() {
        let names: Vec<_> = RenditionKind::all().map(|kind| kind.to_string()).collect();
        assert_eq!(names[..2], ["file/identity", "file/gzip"]);
        for kind in RenditionKind::all() {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        for unknown in [
            "",
            "file",
            "gzip",
            "file/brotli",
            "FILE/gzip",
            "file/gzip/",
            "stream/chacha20",
        ] {
            assert!(unknown.parse::<RenditionKind>().is_err(), "{unknown:?}");
        }
    }
}
