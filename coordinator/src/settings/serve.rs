//! `[serve]`: where the server listens, and who may use its API.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use seedbed_protocol::settings::{
    Secret, SettingsError, duration, invalid, number, optional_secret, positive,
};
use serde::Deserialize;
use url::Url;

use super::schedule::Schedule;

/// The shortest admin token: what cannot be guessed at a few thousand tries a second.
const MIN_TOKEN_CHARS: usize = 16;

/// The HTTP server of `seedbed serve` and `seedbed local --serve`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServeConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where it answers probes and exposes metrics without a token, in addition to `listen`.
    pub health_listen: Option<SocketAddr>,
    /// The certificate for HTTPS at `listen`, with those between it and its authority, in PEM.
    pub tls_certificate_file: Option<PathBuf>,
    /// Its key, in PEM.
    pub tls_key_file: Option<PathBuf>,
    /// Where clients reach it, if that is not where it listens.
    pub public_url: Option<Url>,
    /// When runs start without a command.
    pub schedule: Option<Schedule>,
    /// The token of administrators.
    #[serde(default, deserialize_with = "optional_secret")]
    pub admin_token: Option<Secret>,
    /// Whether the API and the dashboard are open without a token.
    pub open_admin: bool,
    /// How old the snapshot of a store may be.
    #[serde(deserialize_with = "duration")]
    pub freshness_age: Duration,
    /// For which share of the stores that has to be true; to the millionth.
    #[serde(deserialize_with = "number")]
    pub freshness_objective: f64,
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
    /// How long a client may take nothing of an answer.
    #[serde(deserialize_with = "duration")]
    pub slow_reader: Duration,
    /// How long requests may continue when the server is told to stop.
    #[serde(deserialize_with = "duration")]
    pub grace: Duration,
}

/// The files of a certificate.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate, and those between it and its authority.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl ServeConfig {
    /// Returns the files to speak TLS by, if it does.
    ///
    /// # Errors
    /// [`SettingsError::Invalid`] names the one that is missing.
    pub fn tls(&self) -> Result<Option<TlsFiles>, SettingsError> {
        let together = "is missing; a certificate and its key go together";
        match (&self.tls_certificate_file, &self.tls_key_file) {
            (Some(certificate), Some(key)) => Ok(Some(TlsFiles {
                certificate: certificate.clone(),
                key: key.clone(),
            })),
            (None, None) => Ok(None),
            (Some(_), None) => invalid("serve.tls_key_file", together).map(|()| None),
            (None, Some(_)) => invalid("serve.tls_certificate_file", together).map(|()| None),
        }
    }

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
            && (!matches!(url.scheme(), "http" | "https")
                || url.query().is_some()
                || !url.username().is_empty()
                || url.password().is_some())
        {
            return invalid(
                "serve.public_url",
                "must be an http:// or https:// URL without a query, a user name or a password",
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
        if !(self.freshness_objective > 0.0 && self.freshness_objective < 1.0) {
            return invalid(
                "serve.freshness_objective",
                "must be more than 0 and less than 1, such as 0.99: nothing is always true for every store",
            );
        }
        positive("serve.freshness_age", self.freshness_age)?;
        positive("serve.slow_reader", self.slow_reader)?;
        positive("serve.request_timeout", self.request_timeout)
    }
}
