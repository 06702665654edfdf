//! `[serve]` and `[download]`: where the server listens, and who may ask it for what.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use seedbed_protocol::settings::{
    Secret, SettingsError, duration, invalid, optional_duration, optional_secret, positive,
};
use serde::Deserialize;
use url::Url;

use super::schedule::Schedule;

/// The shortest admin token: what cannot be guessed at a few thousand tries a second.
const MIN_TOKEN_CHARS: usize = 16;

/// No store signs a URL for longer: S3 and Google allow seven days.
const MAX_URL_LIFETIME: Duration = Duration::from_secs(7 * 86_400);

/// The HTTP server of `seedbed serve` and `seedbed local --serve`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServeConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where it answers probes and says its metrics, beside `listen` and without a token.
    pub health_listen: Option<SocketAddr>,
    /// Where clients reach it, if that is not where it listens.
    pub public_url: Option<Url>,
    /// When a run starts by itself.
    pub schedule: Option<Schedule>,
    /// What administrators authenticate themselves with.
    #[serde(default, deserialize_with = "optional_secret")]
    pub admin_token: Option<Secret>,
    /// Whether the API and the dashboard are open to everybody.
    pub open_admin: bool,
    /// The page of a trace, with `{trace_id}` in it.
    pub trace_url: Option<String>,
    /// Requests a second of one address; 0 for any number.
    pub rate_limit: u32,
    /// Whether a proxy in front adds the client's address to `X-Forwarded-For`.
    pub behind_proxy: bool,
    /// Web origins whose pages may ask for downloads.
    #[serde(deserialize_with = "seedbed_protocol::settings::list")]
    pub cors_origins: Vec<String>,
    /// How long one request may take.
    #[serde(deserialize_with = "duration")]
    pub request_timeout: Duration,
    /// How long requests may go on when the server is told to stop.
    #[serde(deserialize_with = "duration")]
    pub grace: Duration,
}

/// What clients need to be given the URL of a snapshot.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DownloadConfig {
    /// The secret of HS256 tokens, in base64url.
    #[serde(default, deserialize_with = "optional_secret")]
    pub secret: Option<Secret>,
    /// A public key in PEM.
    pub key_file: Option<PathBuf>,
    /// Where the public keys are published as a JWK set.
    pub jwks_url: Option<Url>,
    /// How long those keys are believed without being published anew.
    #[serde(deserialize_with = "duration")]
    pub jwks_max_age: Duration,
    /// The `kid` that tokens for `secret` or `key_file` must name.
    pub kid: Option<String>,
    /// The `iss` that tokens must have.
    pub issuer: Option<String>,
    /// The `aud` that tokens must have.
    pub audience: Option<String>,
    /// The claim that names the store.
    pub store_claim: String,
    /// Whether everybody may download every snapshot.
    pub anonymous: bool,
    /// How long a URL may be used.
    #[serde(deserialize_with = "duration")]
    pub url_lifetime: Duration,
    /// The secret that signs the URLs of snapshots in a directory.
    #[serde(default, deserialize_with = "optional_secret")]
    pub signing_secret: Option<Secret>,
    /// The endpoint of the object store as clients reach it.
    pub store_endpoint: Option<Url>,
    /// Snapshots that are older are not handed out.
    #[serde(default, deserialize_with = "optional_duration")]
    pub max_age: Option<Duration>,
    /// Whether a store without a usable snapshot is seeded because a client asked for it.
    pub on_demand: bool,
    /// How long a store is not seeded on demand again.
    #[serde(deserialize_with = "duration")]
    pub on_demand_pause: Duration,
}

impl ServeConfig {
    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        if let Some(token) = &self.admin_token
            && token.expose().chars().count() < MIN_TOKEN_CHARS
        {
            return invalid(
                "serve.admin_token",
                format!("is too short to be safe; give at least {MIN_TOKEN_CHARS} characters"),
            );
        }
        if self.admin_token.is_some() && self.open_admin {
            return invalid(
                "serve.open_admin",
                "is true although serve.admin_token is set; leave one of them out",
            );
        }
        if let Some(url) = &self.public_url
            && (!matches!(url.scheme(), "http" | "https") || url.query().is_some())
        {
            return invalid(
                "serve.public_url",
                "must be an http:// or https:// URL without a query",
            );
        }
        if let Some(url) = &self.trace_url
            && !(url.starts_with("http") && url.contains("{trace_id}"))
        {
            return invalid(
                "serve.trace_url",
                "must be a URL with {trace_id} in it, such as https://jaeger.example.com/trace/{trace_id}",
            );
        }
        for origin in &self.cors_origins {
            let parsed = Url::parse(origin).ok();
            let is_origin = parsed.is_some_and(|url| url.origin().ascii_serialization() == *origin);
            if !is_origin {
                return invalid(
                    "serve.cors_origins",
                    "must be origins such as https://app.example.com, without a path",
                );
            }
        }
        positive("serve.request_timeout", self.request_timeout)
    }
}

impl DownloadConfig {
    /// `min_age` is how long a snapshot stays that is no longer handed out.
    pub(crate) fn check(&self, min_age: Duration) -> Result<(), SettingsError> {
        if self.store_claim.trim().is_empty() {
            return invalid(
                "download.store_claim",
                "is empty; name the claim of a client's token that holds its store id",
            );
        }
        if self.anonymous && self.has_keys() {
            return invalid(
                "download.anonymous",
                "is true although there are keys to check tokens with; leave one of them out",
            );
        }
        if self.anonymous && self.on_demand {
            return invalid(
                "download.on_demand",
                "is true together with download.anonymous: anybody could have the source and the service read again \
                 and again; leave one of them out",
            );
        }
        positive("download.jwks_max_age", self.jwks_max_age)?;
        positive("download.url_lifetime", self.url_lifetime)?;
        if self.url_lifetime > MAX_URL_LIFETIME {
            return invalid(
                "download.url_lifetime",
                "is longer than 7d, which no store signs",
            );
        }
        if self.url_lifetime >= min_age {
            return invalid(
                "download.url_lifetime",
                "is not shorter than retention.min_age: a snapshot could be deleted while somebody may still \
                 download it",
            );
        }
        if let Some(url) = &self.jwks_url
            && !matches!(url.scheme(), "http" | "https")
        {
            return invalid("download.jwks_url", "must be an http:// or https:// URL");
        }
        positive("download.on_demand_pause", self.on_demand_pause)
    }

    /// Whether there is anything to check a token with.
    pub(crate) fn has_keys(&self) -> bool {
        self.secret.is_some() || self.key_file.is_some() || self.jwks_url.is_some()
    }
}
