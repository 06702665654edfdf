//! The settings of a worker, checked once at the start. Every field is a setting of `seedbed.toml`, whose comments
//! are the documentation for users.

mod buckets;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

pub use buckets::BucketsConfig;
pub use seedbed_protocol::snapshots::SnapshotsConfig;
use seedbed_protocol::{
    process::outbound::refuse_link_local,
    settings::{
        Secret, SettingsError, duration, invalid,
        keys::{KeyKind, SecretEncoding},
        positive, without_secrets,
    },
    telemetry::LogConfig,
};
use serde::Deserialize;
use url::Url;

/// The longest lifetime of a token. PowerSync itself allows 86,400 s (PSYNC_S2104); a seed token needs far
/// less, and a leaked one should not be worth much.
pub const MAX_TOKEN_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// All settings that a worker needs.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    pub powersync: PowerSyncConfig,
    pub token: TokenConfig,
    pub schema: SchemaConfig,
    pub snapshots: SnapshotsConfig,
    pub verify: VerifyConfig,
    pub buckets: BucketsConfig,
    pub worker: WorkerConfig,
    pub log: LogConfig,
}

impl WorkerSettings {
    /// Checks every value.
    ///
    /// # Errors
    /// [`SettingsError::Invalid`] names the first setting that is missing or has no sensible value.
    pub fn check(&self) -> Result<(), SettingsError> {
        if self.powersync.endpoint.is_empty() {
            return invalid(
                "powersync.endpoint",
                "is missing; set it to the URL of your PowerSync service, in the settings file or as \
                 SEEDBED_POWERSYNC__ENDPOINT",
            );
        }
        check_key(&self.token)?;
        self.check_values()
    }

    /// Checks every value that there is. What a worker needs may be missing: other commands can do without.
    ///
    /// # Errors
    /// [`SettingsError::Invalid`] names the first setting that has no sensible value.
    pub fn check_values(&self) -> Result<(), SettingsError> {
        check_endpoint(&self.powersync.endpoint)?;
        positive("powersync.connect_timeout", self.powersync.connect_timeout)?;
        positive("powersync.idle_timeout", self.powersync.idle_timeout)?;
        positive("powersync.give_up_after", self.powersync.give_up_after)?;
        if self.powersync.max_line_mib < 2 {
            return invalid(
                "powersync.max_line_mib",
                "is less than 2; PowerSync sends lines of about 1 MiB",
            );
        }
        if self.powersync.max_streams == Some(0) {
            return invalid(
                "powersync.max_streams",
                "is 0; with no stream, no job would ever sync",
            );
        }
        check_token(&self.token)?;
        self.snapshots.check()?;
        self.buckets.check()?;
        positive("schema.subscription_ttl", self.schema.subscription_ttl)?;
        check_worker(&self.worker)
    }
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
    /// How long an attempt waits for the next operation, over all the streams that it opens.
    #[serde(deserialize_with = "duration")]
    pub give_up_after: Duration,
    /// Streams that one worker may have open at a time; `None` for one per slot.
    pub max_streams: Option<u16>,
    /// The largest line of a stream, which is a single row if it is larger than 1 MiB, in MiB.
    pub max_line_mib: u16,
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
    Zstd,
    Gzip,
    None,
}

/// Signs the JWT for a store.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenConfig {
    /// HS256, from `secret`, or RS256, ES256 or EdDSA, from `key_file`.
    pub algorithm: TokenAlgorithm,
    /// The shared secret, for HS256.
    pub secret: Option<Secret>,
    /// How the secret is written.
    pub secret_encoding: SecretEncoding,
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
#[serde(try_from = "String")]
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

impl TryFrom<String> for TokenAlgorithm {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let instead = match name.as_str() {
            "HS256" => return Ok(Self::HS256),
            "RS256" => return Ok(Self::RS256),
            "ES256" => return Ok(Self::ES256),
            // The second name is that of RFC 9864; the token's header says EdDSA, which every service knows.
            "EdDSA" | "Ed25519" => return Ok(Self::EdDSA),
            "HS384" | "HS512" => "HS256, with the same secret".to_owned(),
            "RS384" | "RS512" | "PS256" | "PS384" | "PS512" => {
                "RS256, with the same key".to_owned()
            }
            "ES384" | "ES512" | "ES256K" => {
                format!("ES256, with a new key: {}", KeyKind::P256.make())
            }
            "Ed448" => format!("EdDSA, with a new key: {}", KeyKind::Ed25519.make()),
            _ => "one of HS256, RS256, ES256 and EdDSA".to_owned(),
        };
        Err(format!("{name:?} is not signed with here; use {instead}"))
    }
}

/// The schema of the app's database.
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

/// How much is checked again.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifyConfig {
    /// The forms of one in so many jobs are compared; 0 for those of the first job of a generation only.
    pub forms_every: u32,
    /// One in so many snapshots that continue another one with few changes is verified as a whole; 0 for none.
    pub whole_every: u32,
}

/// Limits of this worker: slots, memory, time, retries.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerConfig {
    /// Jobs at a time; `None` takes the number of cores.
    pub slots: Option<u16>,
    /// Where jobs keep their databases while they work.
    pub directory: PathBuf,
    /// SQLite's page cache for each job, in MiB; what exceeds it spills to the job's file.
    pub cache_mib: u32,
    /// Whether a first checkpoint is loaded in bulk. The core extension then gets only what the loader does not take.
    pub fast_load: bool,
    /// The memory of a bulk load for each job, in MiB: what its indexes are sorted by. More is sorted in a file.
    pub load_memory_mib: u32,
    /// The cost of a byte of the base snapshot, relative to a byte of a sync stream: it is fetched, rewritten and
    /// verified, but not streamed. With 0, a job reuses every base that can be used.
    pub base_cost: f64,
    /// Attempts at a job, the first included.
    pub max_attempts: u32,
    /// The pause before the second attempt; it doubles with each further one.
    #[serde(deserialize_with = "duration")]
    pub backoff: Duration,
    /// The longest pause between attempts.
    #[serde(deserialize_with = "duration")]
    pub max_backoff: Duration,
    /// How long one attempt at a job may take.
    #[serde(deserialize_with = "duration")]
    pub job_timeout: Duration,
    /// How long after its publication a job is given up, waiting and all attempts included.
    #[serde(deserialize_with = "duration")]
    pub job_deadline: Duration,
    /// How long a worker that is told to stop may take to drain: to finish the jobs in flight.
    #[serde(deserialize_with = "duration")]
    pub grace: Duration,
    /// How often the worker says that it is there. One that misses three heartbeats counts as gone.
    #[serde(deserialize_with = "duration")]
    pub heartbeat: Duration,
    /// The address for liveness and readiness probes; `None` for no probes.
    pub listen: Option<SocketAddr>,
}

impl WorkerConfig {
    /// Returns SQLite's page cache of one job, in KiB.
    pub(crate) fn cache_kib(&self) -> u32 {
        self.cache_mib.saturating_mul(1024)
    }

    /// Returns the memory of a bulk load, in KiB; `None` when bulk loads are off.
    pub(crate) fn load_memory_kib(&self) -> Option<u32> {
        self.fast_load
            .then(|| self.load_memory_mib.saturating_mul(1024))
    }

    /// Returns how many jobs run at a time.
    pub fn slots(&self) -> u16 {
        self.slots.unwrap_or_else(|| {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            u16::try_from(cores).unwrap_or(u16::MAX)
        })
    }
}

fn check_endpoint(endpoint: &str) -> Result<(), SettingsError> {
    let setting = "powersync.endpoint";
    if endpoint.is_empty() {
        return Ok(());
    }
    match Url::parse(endpoint) {
        Err(e) => invalid(setting, format!("is not a URL: {e}")),
        Ok(url) if !matches!(url.scheme(), "http" | "https") => {
            let shown = without_secrets(endpoint);
            invalid(
                setting,
                format!("is {shown}; it must begin with https:// or http://"),
            )
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => invalid(
            setting,
            "has a user name or a password in it, which PowerSync does not use; remove what is before \
             the @, since jobs sign in with [token]",
        ),
        Ok(url) => {
            refuse_link_local(&url).or_else(|e| invalid(setting, format!("is refused: {e}")))
        }
    }
}

/// Checks that there is a key to sign with, the one that the algorithm takes.
fn check_key(token: &TokenConfig) -> Result<(), SettingsError> {
    let (algorithm, secret) = (token.algorithm, secret_of(token));
    if algorithm != TokenAlgorithm::HS256 {
        if token.key_file.is_none() {
            return invalid(
                "token.key_file",
                format!("is missing; {algorithm:?} signs with a private key in a PEM file"),
            );
        }
        if secret.is_some() {
            return invalid(
                "token.secret",
                format!(
                    "is only for HS256, but token.algorithm is {algorithm:?}; remove one of the two"
                ),
            );
        }
        return Ok(());
    }
    if token.key_file.is_some() {
        return invalid(
            "token.key_file",
            "is not for HS256; set token.algorithm to the key's algorithm, or remove it",
        );
    }
    if secret.is_none() {
        return invalid(
            "token.secret",
            "is missing; set it to the shared secret of your PowerSync service, in base64url or as \
             plain text, best as SEEDBED_TOKEN__SECRET",
        );
    }
    Ok(())
}

fn secret_of(token: &TokenConfig) -> Option<&str> {
    let secret = token.secret.as_ref().map(Secret::expose);
    secret.filter(|secret| !secret.is_empty())
}

fn check_token(token: &TokenConfig) -> Result<(), SettingsError> {
    if token.algorithm == TokenAlgorithm::HS256
        && let Some(secret) = secret_of(token)
        && let Err(reason) = token.secret_encoding.signing_key(secret)
    {
        return invalid("token.secret", reason);
    }
    positive("token.lifetime", token.lifetime)?;
    if token.lifetime > MAX_TOKEN_LIFETIME {
        let lifetime = humantime::format_duration(token.lifetime);
        return invalid(
            "token.lifetime",
            format!("is {lifetime}; at most 60m are allowed"),
        );
    }
    Ok(())
}

fn check_worker(worker: &WorkerConfig) -> Result<(), SettingsError> {
    if worker.slots == Some(0) {
        return invalid(
            "worker.slots",
            "is 0; with no slot, no job would ever start",
        );
    }
    if worker.cache_mib == 0 {
        return invalid("worker.cache_mib", "is 0; SQLite needs at least 1 MiB");
    }
    if worker.load_memory_mib == 0 {
        return invalid(
            "worker.load_memory_mib",
            "is 0; a fast load needs at least 1 MiB, and worker.fast_load = false turns it off",
        );
    }
    if !(worker.base_cost.is_finite() && worker.base_cost >= 0.0) {
        return invalid("worker.base_cost", "must be 0 or more");
    }
    if worker.max_attempts == 0 {
        return invalid("worker.max_attempts", "is 0; a job needs at least one try");
    }
    if worker.backoff > worker.max_backoff {
        return invalid("worker.backoff", "is longer than worker.max_backoff");
    }
    if worker.job_deadline < worker.job_timeout {
        return invalid("worker.job_deadline", "is shorter than worker.job_timeout");
    }
    positive("worker.heartbeat", worker.heartbeat)?;
    positive("worker.job_timeout", worker.job_timeout)
}
