//! Request and response of `GET /database`.

use chrono::{DateTime, Utc};
use seedbed_protocol::manifest::Encoding;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which snapshot a client asks for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct DatabaseQuery {
    /// The store.
    #[param(max_length = 255, min_length = 1)]
    pub(super) store_id: String,
    /// In which encoding: `identity`, `gzip` or `zstd`. By default the plain file if there is one.
    #[param(value_type = Option<Encodings>)]
    pub(super) encoding: Option<Encoding>,
}

/// How a file is compressed; the names are those of Content-Encoding.
#[derive(ToSchema)]
#[schema(as = Encoding, rename_all = "lowercase")]
#[expect(dead_code, reason = "only describes")]
pub(crate) enum Encodings {
    Identity,
    Gzip,
    Zstd,
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
    /// A URL that needs no token, until it expires.
    pub(super) database_url: String,
    /// When the URL expires. A download that has begun continues.
    pub(super) expires_at: DateTime<Utc>,
    /// The size of the file as it is stored.
    pub(super) bytes: u64,
    /// SHA-256, in hex, of the file as it is stored.
    pub(super) sha256: String,
    /// How the file is compressed. HTTP libraries may decompress it by themselves.
    #[schema(value_type = Encodings)]
    pub(super) encoding: Encoding,
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
