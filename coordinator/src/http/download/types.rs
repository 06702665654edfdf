//! Request and response of `GET /database`.

use chrono::{DateTime, Utc};
use seedbed_protocol::{
    manifest::{Encoding, Form},
    settings::list,
};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, IntoDeserializer, value::StrDeserializer},
};
use utoipa::{IntoParams, ToSchema};

/// Which snapshot a client asks for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct DatabaseQuery {
    /// The store.
    #[param(max_length = 255, min_length = 1)]
    pub(super) store_id: String,
    /// In which form. `compact` is smaller, and has to be finished by the client.
    #[serde(default)]
    #[param(inline)]
    pub(super) form: DatabaseForm,
    /// In which encodings, separated by commas, the best first: `zstd,gzip`. By default the plain object if there is one, and
    /// never an encrypted one.
    #[serde(default, deserialize_with = "encodings")]
    #[param(value_type = Vec<Encodings>, required = false, style = Form, explode = false, min_items = 1)]
    pub(super) encoding: Vec<Encoding>,
    /// The version of the client's PowerSync core extension, such as `0.5.3`: `compact` is given only to versions with which
    /// finishing was tested. Without it the client has to know.
    #[param(max_length = 64, min_length = 1)]
    pub(super) core: Option<String>,
    /// Up to how many bytes the client takes at once: a snapshot that is no larger, nor larger than `download.inline_kib`, follows
    /// the JSON after a line break, as it is stored.
    #[serde(default)]
    #[param(minimum = 0)]
    pub(super) inline: u64,
}

/// The forms that are a database.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum DatabaseForm {
    #[default]
    File,
    Compact,
}

impl From<DatabaseForm> for Form {
    fn from(form: DatabaseForm) -> Self {
        match form {
            DatabaseForm::File => Self::File,
            DatabaseForm::Compact => Self::Compact,
        }
    }
}

fn encodings<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Encoding>, D::Error> {
    let names = list(deserializer)?;
    if names.is_empty() {
        return Err(de::Error::custom(
            "encoding: name at least one, or leave it out",
        ));
    }
    let encodings = names.iter().map(|name| {
        let name: StrDeserializer<'_, D::Error> = name.as_str().into_deserializer();
        Encoding::deserialize(name)
    });
    encodings.collect()
}

/// How a file is compressed, by the names of Content-Encoding, or encrypted.
#[derive(ToSchema)]
#[schema(as = Encoding, rename_all = "lowercase")]
#[expect(dead_code, reason = "only describes")]
pub(crate) enum Encodings {
    Identity,
    Gzip,
    Zstd,
    Sqlcipher4,
    Chacha20,
}

/// What a rendition is before it is compressed: the SQLite file, the one that has to be finished, or a sync stream.
#[derive(ToSchema)]
#[schema(as = Form, rename_all = "lowercase")]
#[expect(dead_code, reason = "only describes")]
pub(crate) enum Forms {
    File,
    Compact,
    Stream,
}

/// Where a snapshot is, and what it is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Database {
    /// The store that it is of.
    pub(super) store_id: String,
    /// A URL that needs no token, until it expires.
    pub(super) database_url: String,
    /// When the URL expires. A download that has begun continues.
    pub(super) expires_at: DateTime<Utc>,
    /// What it is before it is compressed.
    #[schema(value_type = Forms)]
    pub(super) form: Form,
    /// The size of the file as it is stored.
    pub(super) bytes: u64,
    /// SHA-256, in hex, of the file as it is stored.
    pub(super) sha256: String,
    /// How the file is compressed, which HTTP libraries may undo by themselves, or encrypted.
    #[schema(value_type = Encodings)]
    pub(super) encoding: Encoding,
    /// The key of the file, 32 bytes in hex, if it is encrypted (`sqlcipher4`, `chacha20`); else null. Keep it nowhere: open
    /// the file with it once, and give it a key of the device's own.
    pub(super) key: Option<String>,
    /// The size of the file uncompressed; null for some snapshots of older versions.
    pub(super) unpacked_bytes: Option<u64>,
    /// SHA-256, in hex, of the file uncompressed; null for some snapshots of older versions.
    pub(super) unpacked_sha256: Option<String>,
    /// The version of finishing that the file needs before it is opened; null if it needs none.
    pub(super) finish: Option<u32>,
    /// The PowerSync service that it was synced from.
    pub(super) service_endpoint: String,
    /// When the snapshot was made.
    pub(super) created_at: DateTime<Utc>,
    /// When PowerSync was last known to hold exactly what is in it.
    pub(super) verified_at: DateTime<Utc>,
    /// The op id of the checkpoint that the snapshot is at.
    pub(super) checkpoint: String,
    /// The sync config that it was made with, by the number in its buckets' names: with another one, the first sync
    /// downloads every row.
    pub(super) generation: Option<String>,
    /// The age, in seconds since `verifiedAt`, from which on this server no longer hands it out; null for any age.
    pub(super) max_age: Option<u64>,
    /// The version of PowerSync's internal tables in it.
    pub(super) schema_version: u32,
    /// SHA-256, in hex, of the app schema that it was made with.
    pub(super) schema_fingerprint: String,
    /// The version of the PowerSync core extension that wrote it.
    pub(super) core_version: String,
}
