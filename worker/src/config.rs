//! What a worker can be told. Every field is a setting of `seedbed.toml`, whose comments are the
//! documentation for users.

use std::{fmt, path::PathBuf, time::Duration};

pub use seedbed_protocol::snapshots::SnapshotsConfig;
use seedbed_protocol::telemetry::LogConfig;
use serde::{Deserialize, Deserializer, de};

/// All settings that a worker needs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerSettings {
    /// `[powersync]`
    pub powersync: PowerSyncConfig,
    /// `[token]`
    pub token: TokenConfig,
    /// `[schema]`
    pub schema: SchemaConfig,
    /// `[snapshots]`
    pub snapshots: SnapshotsConfig,
    /// `[worker]`
    pub worker: WorkerConfig,
    /// `[log]`
    pub log: LogConfig,
}

/// The PowerSync service to sync from.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PowerSyncConfig {
    /// Its URL, as an app would use it.
    pub endpoint: String,
    /// The format to ask for.
    pub format: StreamFormat,
    /// The compression to ask for.
    pub compression: StreamCompression,
    /// How long connecting may take.
    #[serde(deserialize_with = "duration")]
    pub connect_timeout: Duration,
    /// How long a stream may send nothing before it counts as dropped. The service sends a keepalive
    /// every 20 s.
    #[serde(deserialize_with = "duration")]
    pub idle_timeout: Duration,
    /// How often in a row a stream may be reopened without having received anything new, before the
    /// attempt fails.
    pub max_reconnects: u32,
}

/// A stream format of the PowerSync service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StreamFormat {
    /// BSON if the service speaks it, else NDJSON.
    Auto,
    /// Newline-delimited JSON only.
    Ndjson,
}

/// A compression of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StreamCompression {
    /// Zstandard.
    Zstd,
    /// gzip.
    Gzip,
    /// None.
    None,
}

/// How the JWT for a store is signed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenConfig {
    /// HS256, from `secret`, or RS256, ES256 or EdDSA, from `key_file`.
    pub algorithm: TokenAlgorithm,
    /// The shared secret in base64url, for HS256.
    pub secret: Option<Secret>,
    /// A private key in PEM, for the other algorithms.
    pub key_file: Option<PathBuf>,
    /// The `kid` header: which key of its configuration the service should use.
    pub kid: Option<String>,
    /// The `sub` claim; `{{column}}` stands for a claim of the store.
    pub subject: String,
    /// The `aud` claim.
    pub audience: Option<String>,
    /// From `iat` to `exp`; at most one hour.
    #[serde(deserialize_with = "duration")]
    pub lifetime: Duration,
}

/// A signature algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum TokenAlgorithm {
    /// HMAC with SHA-256.
    HS256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// Ed25519.
    EdDSA,
}

/// The app's schema.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemaConfig {
    /// The SDK's schema as JSON; without it, tables are inferred from the synced rows.
    pub file: Option<PathBuf>,
    /// How long the snapshot's explicit stream subscriptions stay valid. PowerSync's default of one day
    /// would drop their rows from an older snapshot at the first connection.
    #[serde(deserialize_with = "duration")]
    pub subscription_ttl: Duration,
}

/// How this worker works.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerConfig {
    /// Jobs at a time; `None` takes the number of cores.
    pub slots: Option<u16>,
    /// Where jobs keep their databases while they work.
    pub directory: PathBuf,
    /// SQLite's page cache for each job, in MiB; what exceeds it spills to the job's file.
    pub cache_mib: u32,
    /// Tries at a job, the first included.
    pub max_attempts: u32,
    /// The pause before the second try; it doubles with each further one.
    #[serde(deserialize_with = "duration")]
    pub backoff: Duration,
    /// The longest pause between tries.
    #[serde(deserialize_with = "duration")]
    pub max_backoff: Duration,
    /// How long a job may take, from being published.
    #[serde(deserialize_with = "duration")]
    pub job_timeout: Duration,
}

impl WorkerConfig {
    /// Jobs at a time.
    pub fn slots(&self) -> u16 {
        self.slots.unwrap_or_else(|| {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            u16::try_from(cores).unwrap_or(u16::MAX)
        })
    }
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// A secret with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text. Keep it out of logs, errors and messages.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Reads `"90s"`, `"5m"` or `"1h 30m"`.
///
/// # Errors
/// When the text is not a duration; shows it.
pub fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text).map_err(|e| {
        de::Error::custom(format!(
            "{text:?} is not a duration such as \"90s\" or \"5m\": {e}"
        ))
    })
}
