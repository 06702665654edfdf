//! `[download]`: which clients may download what, and by which URLs.

use std::{path::PathBuf, time::Duration};

use seedbed_protocol::{
    process::outbound::refuse_link_local,
    settings::{
        Secret, SettingsError, duration, invalid, keys::SecretEncoding, optional_duration,
        optional_secret, positive,
    },
};
use serde::Deserialize;
use url::Url;

use super::login::{NO_USER, names_user};

/// The longest lifetime of a signed URL: S3 and Google Cloud Storage allow seven days.
const MAX_URL_LIFETIME: Duration = Duration::from_secs(7 * 86_400);

/// What clients need to get the URL of a snapshot.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DownloadConfig {
    /// The secret of HS256 tokens.
    #[serde(default, deserialize_with = "optional_secret")]
    pub secret: Option<Secret>,
    /// How it is written.
    pub secret_encoding: SecretEncoding,
    /// A public key in PEM.
    pub key_file: Option<PathBuf>,
    /// Where the public keys are published as a JWK set.
    pub jwks_url: Option<Url>,
    /// How long those keys stay valid without being fetched again.
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
    /// Whether any caller may download every snapshot.
    pub anonymous: bool,
    /// How long a URL may be used.
    #[serde(deserialize_with = "duration")]
    pub url_lifetime: Duration,
    /// The secret that signs the URLs of snapshots in a directory.
    #[serde(default, deserialize_with = "optional_secret")]
    pub signing_secret: Option<Secret>,
    /// The endpoint of the object storage as clients reach it.
    pub store_endpoint: Option<Url>,
    /// The PowerSync service as devices reach it.
    pub service_endpoint: Option<Url>,
    /// How many first syncs are sent at a time.
    pub max_streams: usize,
    /// The largest file that `GET /database` sends along, in KiB.
    pub inline_kib: u32,
    /// How long a server answers by what it knows of a store's snapshot.
    #[serde(deserialize_with = "duration")]
    pub start_max_age: Duration,
    /// Snapshots that are older are not handed out.
    #[serde(default, deserialize_with = "optional_duration")]
    pub max_age: Option<Duration>,
    /// Whether a store without a usable snapshot is seeded on demand.
    pub on_demand: bool,
    /// How long a store is not seeded on demand again.
    #[serde(deserialize_with = "duration")]
    pub on_demand_pause: Duration,
}

impl DownloadConfig {
    /// `min_age` is how long a snapshot stays that is no longer handed out.
    pub(crate) fn check(&self, min_age: Duration) -> Result<(), SettingsError> {
        self.check_values()?;
        if self.anonymous && self.has_keys() {
            return invalid(
                "download.anonymous",
                "is true although there are keys to check tokens with; leave one of them out",
            );
        }
        if self.anonymous && self.on_demand {
            return invalid(
                "download.on_demand",
                "is true together with download.anonymous: any caller could make the source and the service be read again \
                 and again; leave one of them out",
            );
        }
        if self.url_lifetime >= min_age {
            return invalid(
                "download.url_lifetime",
                "is not shorter than retention.min_age: a snapshot could be deleted while a client may still \
                 download it",
            );
        }
        Ok(())
    }

    /// Checks each value by itself.
    pub(super) fn check_values(&self) -> Result<(), SettingsError> {
        if self.store_claim.trim().is_empty() {
            return invalid(
                "download.store_claim",
                "is empty; name the claim of a client's token that holds its store id",
            );
        }
        for (setting, url) in [
            ("download.store_endpoint", &self.store_endpoint),
            ("download.service_endpoint", &self.service_endpoint),
        ] {
            if let Some(url) = url
                && !matches!(url.scheme(), "http" | "https")
            {
                return invalid(setting, "must be an http:// or https:// URL");
            }
            if url.as_ref().is_some_and(names_user) {
                return invalid(
                    setting,
                    "has a user name or a password in it, which devices would get to see; remove what is before the @",
                );
            }
        }
        if let Some(secret) = &self.secret
            && let Err(reason) = self.secret_encoding.keys(secret.expose())
        {
            return invalid("download.secret", reason);
        }
        positive("download.jwks_max_age", self.jwks_max_age)?;
        positive("download.url_lifetime", self.url_lifetime)?;
        if self.url_lifetime > MAX_URL_LIFETIME {
            return invalid(
                "download.url_lifetime",
                "is longer than 7d, which no object storage signs",
            );
        }
        if let Some(url) = &self.jwks_url {
            if !matches!(url.scheme(), "http" | "https") {
                return invalid("download.jwks_url", "must be an http:// or https:// URL");
            }
            if names_user(url) {
                return invalid("download.jwks_url", NO_USER);
            }
            refuse_link_local(url)
                .or_else(|e| invalid("download.jwks_url", format!("is refused: {e}")))?;
        }
        positive("download.on_demand_pause", self.on_demand_pause)
    }

    /// Returns whether there is anything to check a token with.
    pub(crate) fn has_keys(&self) -> bool {
        self.secret.is_some() || self.key_file.is_some() || self.jwks_url.is_some()
    }
}
